//! What was meant by a name that is not known.

/// Names that are at least so much alike, from 0 to 1, may be meant for one another.
const ALIKE: f64 = 0.8;

/// A sentence for whoever wrote `name`: which of `known` was probably meant, and what there is.
pub(super) fn advice(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let listed: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let there = match listed.as_slice() {
        [] => "There are none.".to_owned(),
        [only] => format!("There is only {only}."),
        several => format!("There are {}.", several.join(", ")),
    };
    match nearest {
        Some((_, meant)) => format!("Did you mean `{meant}`? {there}"),
        None => there,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first_if_one_is_near() {
        let known = ["path", "partitions", "lease"];
        assert_eq!(
            advice("pth", &known),
            "Did you mean `path`? There are `path`, `partitions`, `lease`."
        );
        assert!(advice("partitons", &known).starts_with("Did you mean `partitions`?"));
        assert_eq!(advice("zzz", &["path"]), "There is only `path`.");
    }
}
