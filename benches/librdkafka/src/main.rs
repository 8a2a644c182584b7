//! Reads a topic and writes what it read to another, on librdkafka's C API and without transactions: as fast as this
//! library goes.
//!
//! Arguments: brokers, registry (not used), topic to read, topic to write, group, messages to a batch, messages in all.
//! Writes `{"seconds": …}`: from the first message to the last delivery.

use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::time::Instant;

use rdkafka_sys as rd;

/// A client with these properties.
fn client(
    kind: rd::rd_kafka_type_t,
    properties: &[(&str, &str)],
) -> Result<*mut rd::rd_kafka_t, Box<dyn Error>> {
    let mut reason: [c_char; 512] = [0; 512];
    // SAFETY: the config is librdkafka's own and given over to the client; names and values live through the calls.
    unsafe {
        let config = rd::rd_kafka_conf_new();
        for (name, value) in properties {
            let (name, value) = (CString::new(*name)?, CString::new(*value)?);
            rd::rd_kafka_conf_set(
                config,
                name.as_ptr(),
                value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            );
        }
        let client = rd::rd_kafka_new(kind, config, reason.as_mut_ptr(), reason.len());
        if client.is_null() {
            return Err(CStr::from_ptr(reason.as_ptr()).to_string_lossy().into());
        }
        Ok(client)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, _, from, to, group, size, count] = arguments.as_slice() else {
        return Err("seven arguments are needed".into());
    };
    let (size, count): (usize, usize) = (size.parse()?, count.parse()?);
    let consumer = client(
        rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
        &[
            ("bootstrap.servers", brokers),
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
        ],
    )?;
    let producer = client(
        rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        &[("bootstrap.servers", brokers)],
    )?;
    let (from, to) = (CString::new(from.as_str())?, CString::new(to.as_str())?);
    let mut messages: Vec<*mut rd::rd_kafka_message_t> = vec![ptr::null_mut(); size];
    let mut started: Option<Instant> = None;
    let mut done = 0;
    // SAFETY: clients, queue and topic are those that were made above; each message is used before it is destroyed,
    // once; librdkafka copies what is produced.
    unsafe {
        rd::rd_kafka_poll_set_consumer(consumer);
        let topics = rd::rd_kafka_topic_partition_list_new(1);
        rd::rd_kafka_topic_partition_list_add(topics, from.as_ptr(), -1);
        rd::rd_kafka_subscribe(consumer, topics);
        rd::rd_kafka_topic_partition_list_destroy(topics);
        let queue = rd::rd_kafka_queue_get_consumer(consumer);
        let target = rd::rd_kafka_topic_new(producer, to.as_ptr(), ptr::null_mut());
        while done < count {
            let read = rd::rd_kafka_consume_batch_queue(queue, 100, messages.as_mut_ptr(), size);
            for message in &messages[..usize::try_from(read)?] {
                let it = &**message;
                if it.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    started.get_or_insert_with(Instant::now);
                    done += 1;
                    // Only when the queue is full: its reports make room.
                    while rd::rd_kafka_produce(
                        target,
                        -1,
                        rd::RD_KAFKA_MSG_F_COPY,
                        it.payload,
                        it.len,
                        it.key.cast::<c_void>(),
                        it.key_len,
                        ptr::null_mut(),
                    ) != 0
                    {
                        rd::rd_kafka_poll(producer, 1);
                    }
                }
                rd::rd_kafka_message_destroy(*message);
            }
            rd::rd_kafka_poll(producer, 0);
        }
        rd::rd_kafka_flush(producer, 60_000);
    }
    let seconds = started.ok_or("nothing was read")?.elapsed().as_secs_f64();
    println!("{{\"seconds\": {seconds}}}");
    // The process ends, and librdkafka's threads with it.
    std::process::exit(0);
}
