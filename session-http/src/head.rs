//! What the exchange sees of a request, and does to a response. The two traits that a framework crate implements.

use std::net::IpAddr;

/// The head of a request, in terms that every framework has.
///
/// Values of headers are bytes, as they came: some other cookie with a byte that is not ASCII must not hide the
/// session's.
pub trait RequestHead {
    /// The method, such as `GET`.
    fn method(&self) -> &str;

    /// The path, without the query.
    fn path(&self) -> &str;

    /// The query, without the question mark.
    fn query(&self) -> Option<&str>;

    /// The host that the client asked for, with the port where it named one: of the request's target, or of the
    /// header `Host`. Clients choose it: look it up in a list.
    fn host(&self) -> Option<&str>;

    /// Every value of the header `name`, given in lower case, in the order in which they came.
    fn header<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a>;

    /// The address at the other end of the connection, where the framework knows it. Behind a proxy it is the
    /// proxy's.
    fn peer(&self) -> Option<IpAddr>;
}

/// The head of a response, for [`Conclusion::apply`](crate::Conclusion::apply).
pub trait ResponseHead {
    /// Whether there is a header `name`, given in lower case.
    fn has(&self, name: &str) -> bool;

    /// Adds a header, beside those of the same name.
    fn append(&mut self, name: &str, value: &str);

    /// The same for a header with a token: mark the value as sensitive where the framework can, so that it is
    /// neither logged nor kept for compression.
    fn append_token(&mut self, name: &str, value: &str);

    /// Drops the handler's headers and body, and answers with this status and no body.
    fn replace(&mut self, status: u16);
}
