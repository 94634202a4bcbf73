//! The parameters of an address: each known by name, each used or refused.

use actix_web::HttpRequest;
use actix_web::web::Query;

use crate::http::problem;
use crate::http::problem::Refusal;
use crate::language::suggest::closest;

/// The parameters of a request.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the parameters, of which only these are known.
    ///
    /// # Errors
    /// If one is unknown, given twice, or cannot be read.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Refusal> {
        let all = Query::<Vec<(String, String)>>::from_query(request.query_string());
        let all = all.map_err(|error| refuse(error.to_string()))?.into_inner();
        for (index, (name, _)) in all.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(refuse(match (closest(name, known.iter().copied()), known) {
                    (Some(near), _) => {
                        format!("there is no parameter `{name}`; did you mean `{near}`?")
                    }
                    (None, []) => format!("expected no parameters, found `{name}`"),
                    (None, _) => {
                        format!("expected one of {}, found `{name}`", known.join(", "))
                    }
                }));
            }
            if all[..index].iter().any(|(other, _)| other == name) {
                return Err(refuse(format!("the parameter `{name}` stands twice")));
            }
        }
        Ok(Self(all))
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter as a count.
    ///
    /// # Errors
    /// If it is no whole number.
    pub fn count(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let count = |text: &str| {
            let expected =
                || refuse(format!("parameter `{name}`: expected a whole number, found `{text}`"));
            text.parse().map_err(|_| expected())
        };
        self.text(name).map(count).transpose()
    }

    /// The value of a parameter that is one of these words; the first one if it is left out.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn word<'a>(&self, name: &str, words: &[&'a str]) -> Result<&'a str, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(words[0]);
        };
        let found = words.iter().find(|word| **word == text);
        found.copied().ok_or_else(|| {
            let words = words.join(", ");
            refuse(format!("parameter `{name}`: expected one of {words}, found `{text}`"))
        })
    }
}

/// A parameter cannot be used.
pub fn refuse(detail: String) -> Refusal {
    Refusal::new(problem::BAD_PARAMETER, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(query: &str) -> Result<Parameters, String> {
        let request = TestRequest::with_uri(&format!("/?{query}")).to_http_request();
        Parameters::read(&request, &["limit", "after", "ack"])
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn known_ones_are_read() {
        let parameters = read("limit=7&after=a%2Fb").unwrap();
        assert_eq!(parameters.count("limit").unwrap(), Some(7));
        assert_eq!(parameters.text("after"), Some("a/b"));
        assert_eq!(parameters.word("ack", &["accepted", "applied"]).unwrap(), "accepted");
        assert_eq!(read("").unwrap().count("limit").unwrap(), None);
    }

    #[test]
    fn others_are_refused_with_a_suggestion() {
        assert!(read("limt=7").unwrap_err().contains("did you mean `limit`?"));
        assert!(read("x=1").unwrap_err().contains("expected one of limit, after, ack"));
        assert!(read("limit=1&limit=2").unwrap_err().contains("twice"));
        let parameters = read("limit=-1&ack=never").unwrap();
        assert!(parameters.count("limit").unwrap_err().to_string().contains("`-1`"));
        assert!(parameters.word("ack", &["accepted"]).is_err());
    }
}
