"""Writes points by influxdb-client in its batching mode.

Arguments: URL, organization, bucket, points a batch, points in all; the token is in TOKEN.
Writes {"seconds": …}: from the first point to the end of the last batch.
"""

import json
import os
import sys
import time

from influxdb_client import InfluxDBClient, Point, WriteOptions


def main():
    url, org, bucket, batch, count = sys.argv[1:]
    batch, count = int(batch), int(count)
    failed = []
    with InfluxDBClient(url=url, token=os.environ["TOKEN"], org=org, enable_gzip=True) as client:
        started = time.perf_counter()
        options = WriteOptions(batch_size=batch, flush_interval=1_000, max_retries=0)
        with client.write_api(options, error_callback=lambda _, data, error: failed.append(error)) as writer:
            for n in range(count):
                second = 1_652_073_462 + n // 1000
                pos = n * 7919 % 1000 / 1000
                point = (
                    Point("sentiment")
                    .tag("task", ("RU-UKR", "climate", "elections")[n % 3])
                    .field("id", (second * 1000 + n % 1000 - 1_288_834_974_657) << 22)
                    .field("neg", (1 - pos) * 0.25)
                    .field("neu", (1 - pos) * 0.75)
                    .field("pos", pos)
                    .time(second * 1_000_000_000 + n % 1000 * 1_000_000)
                )
                writer.write(bucket=bucket, record=point)
        seconds = time.perf_counter() - started
    if failed:
        raise SystemExit(f"not written: {failed[0]}")
    print(json.dumps({"seconds": seconds}))


main()
