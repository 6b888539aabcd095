//! Request heads as different clients send them. Every one carries the request's number, so that no head is ever sent
//! twice: a server that memoises heads has won nothing here.

/// The mix: everything after the method, up to the line that ends the head. `{path}` becomes what is asked for, with a
/// query where the client sends one; `{n}` the request's number, always of [`NUMBER_DIGITS`] digits, so that every
/// round of the mix has the same number of bytes.
pub const MIX: [&str; 16] = [
    // The least that RFC 9112 allows, the number aside.
    "{path}?{n} HTTP/1.1\r\nHost: localhost\r\n",
    "{path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nX-Request-Id: {n}\r\n",
    // A browser on a desktop.
    "{path}?page={n} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) \
     Gecko/20100101 Firefox/143.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
     Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n\
     Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n\
     Sec-Fetch-User: ?1\r\nPriority: u=0, i\r\n",
    // A script in another browser, with client hints and cookies.
    "{path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\nsec-ch-ua-platform: \"Windows\"\r\n\
     X-Requested-With: XMLHttpRequest\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\nAccept: application/json, text/plain, */*\r\n\
     sec-ch-ua: \"Google Chrome\";v=\"141\", \"Not?A_Brand\";v=\"8\", \"Chromium\";v=\"141\"\r\nsec-ch-ua-mobile: ?0\r\n\
     Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
     Referer: https://shop.example.com/catalogue/garden/tools?sort=price\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
     Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\nCookie: session={n}; _ga=GA1.2.1170924113.1730366119; \
     consent=necessary%2Cstatistics; cart=b41d0e5f7a; theme=dark\r\n",
    // A program, with a token.
    "{path} HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Go-http-client/1.1\r\nAccept: application/json\r\n\
     Authorization: Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiw\
     iYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0.tyh-VfuzIxCyGYDlkBA7DfyjrqmSHu6pQ2hoZuFqUSLPNY2N0mpHb3nk5K17HWP_3cYHBw\
     7AhHale5wky6-sVA\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d{n}-00f067aa0ba902b7-01\r\nAccept-Encoding: gzip\r\n",
    // Health checks.
    "{path} HTTP/1.1\r\nHost: 10.42.0.17:8080\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nX-Probe: {n}\r\n",
    "{path}?check={n} HTTP/1.1\r\nhost: [::1]:8080\r\nuser-agent: ELB-HealthChecker/2.0\r\naccept-encoding: gzip, compressed\r\n",
    // A reverse proxy in front.
    "{path} HTTP/1.1\r\nHost: intranet.example.org\r\nX-Real-IP: 203.0.113.195\r\nX-Forwarded-For: 203.0.113.195, \
     198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: intranet.example.org\r\nX-Forwarded-Port: 443\r\n\
     X-Request-ID: 7b0c1f5e{n}\r\nVia: 1.1 edge-fra-3\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like \
     Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1\r\nAccept: */*\r\n\
     Accept-Language: fr-FR,fr;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n",
    // Absolute form, as to a proxy (RFC 9112 section 3.2.2).
    "http://app.example.net{path}?n={n} HTTP/1.1\r\nHost: app.example.net\r\nUser-Agent: Wget/1.25.0\r\nAccept: */*\r\n\
     Accept-Encoding: identity\r\nConnection: Keep-Alive\r\n",
    // Conditional, with a long query.
    "{path}?q=rust+http+server&sort=relevance&from=2024-01-01&to=2024-12-31&tag=a&tag=b&tag=c&cursor=eyJpZCI6{n}\
     fQ%3D%3D HTTP/1.1\r\nHost: search.example.com\r\nUser-Agent: python-requests/2.32.5\r\nAccept-Encoding: gzip, \
     deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nIf-None-Match: W/\"5f3a-18c2b9d1e40\"\r\nIf-Modified-Since: \
     Tue, 15 Nov 1994 12:45:26 GMT\r\n",
    "{path} HTTP/1.1\r\naccept: application/json\r\nuser-agent: axios/1.12.2\r\nx-api-key: 0f8fad5bd9cb469fa16570867728950e\r\n\
     idempotency-key: {n}\r\naccept-encoding: gzip, compress, deflate, br\r\nhost: localhost:3000\r\n",
    // Many small fields, some of them empty or repeated.
    "{path} HTTP/1.1\r\nHost: metrics.example.com\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D:\r\nX-E: 5\r\nX-F: 6\r\nX-G: 7\r\n\
     X-H: 8\r\nX-I: 9\r\nX-J: 10\r\nX-K: 11\r\nX-L: 12\r\nX-M: 13\r\nX-N: 14\r\nX-O: 15\r\nX-P: 16\r\nX-Q: 17\r\nX-R: 18\r\n\
     Accept: text/plain\r\nAccept: application/openmetrics-text\r\nX-Scrape: {n}\r\nCache-Control: no-cache\r\n\
     Cache-Control: no-store\r\n",
    // Few and very long ones: single sign-on.
    "{path} HTTP/1.1\r\nHost: sso.example.com\r\nCookie: SAMLSession=PHNhbWxwOlJlc3BvbnNlIHhtbG5zOnNhbWxwPSJ1cm46b2FzaXM\
     6bmFtZXM6dGM6U0FNTDoyLjA6cHJvdG9jb2wiIHhtbG5zOnNhbWw9InVybjpvYXNpczpuYW1lczp0YzpTQU1MOjIuMDphc3NlcnRpb24iIElEPSJf\
     OGU4ZGM1ZjY5YTk4Y2M0YzFmZjM0MjdlNWNlMzQ2MDZmZDY3MmY5MWU2IiBWZXJzaW9uPSIyLjAiIElzc3VlSW5zdGFudD0iMjAxNC0wNy0xN1QwM\
     To0MTo0OFoiIERlc3RpbmF0aW9uPSJodHRwOi8vc3AuZXhhbXBsZS5jb20vZGVtbzEvaW5kZXgucGhwP2FjcyIgSW5SZXNwb25zZVRvPSJPTkVMT0\
     dJTl80ZmVlM2IwNDYzOTVjNGU3NTEwMTFlOTdmODkwMGI1MjczZDU2Njg1Ij48c2FtbDpJc3N1ZXI+aHR0cDovL2lkcC5leGFtcGxlLmNvbS9tZXR\
     hZGF0YS5waHA8L3NhbWw6SXNzdWVyPjxzYW1scDpTdGF0dXM+PHNhbWxwOlN0YXR1c0NvZGUgVmFsdWU9InVybjpvYXNpczpuYW1lczp0YzpTQU1M\
     OjIuMDpzdGF0dXM6U3VjY2VzcyIvPjwvc2FtbHA6U3RhdHVzPg; n={n}\r\nUser-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X \
     10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15\r\n",
    // Names in capitals, blanks around values.
    "{path} HTTP/1.1\r\nHOST:   legacy.example.com  \r\nUSER-AGENT:\tLegacyAgent/1.0 \r\nACCEPT:*/*\r\nPRAGMA: no-cache\r\n\
     X-SERIAL: {n}\t\r\n",
    // A dot segment and percent-encoding, away from what routes look at.
    "{path}?next=%2Faccount%2F..%2Fhome&state={n} HTTP/1.1\r\nHost: login.example.com\r\nUser-Agent: okhttp/5.1.0\r\n\
     Accept-Encoding: gzip\r\nTE: trailers\r\nDNT: 1\r\nForwarded: for=192.0.2.60;proto=http;by=203.0.113.43\r\n",
    "{path} HTTP/1.1\r\nHost: cdn.example.com\r\nUser-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; \
     +http://www.google.com/bot.html)\r\nAccept: text/html,application/xhtml+xml,application/signed-exchange;v=b3\r\n\
     From: googlebot(at)googlebot.com\r\nAccept-Encoding: gzip, deflate, br\r\nX-Crawl: {n}\r\nRange: bytes=0-\r\n",
];

/// Digits of a request's number.
pub const NUMBER_DIGITS: usize = 8;

/// Adds the head of request `number` to `out`, with `fields` (whole lines) at its end.
pub fn write(number: u64, method: &str, path: &str, fields: &str, out: &mut Vec<u8>) {
    // Not a plain turn: batches of 16 would otherwise all be alike but for their numbers.
    let turn = usize::try_from((number + number / 16) % 16).unwrap_or_default();
    let text = MIX[turn]
        .replace("{path}", path)
        .replace("{n}", &format!("{number:0NUMBER_DIGITS$}"));
    for part in [method, " ", &text, fields, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn head(number: u64) -> Vec<u8> {
        let mut head = Vec::new();
        write(number, "GET", "/hello", "", &mut head);
        head
    }

    #[test]
    fn no_head_is_sent_twice() {
        let heads: HashSet<_> = (0..10_000).map(head).collect();
        assert_eq!(heads.len(), 10_000);
    }

    #[test]
    fn every_sixteen_requests_hold_the_whole_mix() {
        let bytes = |first: u64| -> usize { (first..first + 16).map(|n| head(n).len()).sum() };
        assert!((1..100).all(|round| bytes(round * 16) == bytes(0)));
    }

    #[test]
    fn the_mix_spans_sizes_and_field_counts() {
        let heads: Vec<_> = (0..16).map(head).collect();
        let sizes: HashSet<_> = heads.iter().map(Vec::len).collect();
        assert!(sizes.len() >= 12);
        assert!(sizes.iter().min() < Some(&64) && sizes.iter().max() > Some(&800));
        let fields = |head: &Vec<u8>| head.split(|byte| *byte == b'\n').count() - 3;
        assert_eq!(heads.iter().map(fields).min(), Some(1));
        assert_eq!(heads.iter().map(fields).max(), Some(24));
    }
}
