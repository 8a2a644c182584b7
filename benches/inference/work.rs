//! How much arithmetic the texts are worth.

use serde::Deserialize;

/// The model's measures, as its `config.json` tells them.
#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    hidden_size: f64,
    intermediate_size: f64,
    num_hidden_layers: f64,
}

impl Shape {
    /// The useful operations of a text of `tokens`: a multiplication and an addition for each weight of the linear
    /// layers and each token, and attention's two products; in the last layer only what its first token, which is
    /// all that the classifier sees, needs: keys and values of all tokens, the rest of one. Padding, embeddings,
    /// norms, softmax and GELU count nothing.
    pub(crate) fn operations(&self, tokens: usize) -> f64 {
        let (h, tokens) = (self.hidden_size, tokens as f64);
        let keys_and_values = 2.0 * h * h;
        let query_and_output = 2.0 * h * h;
        let feed_forward = 2.0 * h * self.intermediate_size;
        let attention = 2.0 * tokens * h; // of one token with all
        let whole = tokens * (keys_and_values + query_and_output + feed_forward + attention);
        let last = tokens * keys_and_values + query_and_output + feed_forward + attention;
        let classifier = h * h + 3.0 * h;
        2.0 * ((self.num_hidden_layers - 1.0) * whole + last + classifier)
    }
}
