//! One exchange as the `h2` crate does it.

use super::exchange::{End, Exchange, Lines, content};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

/// What came of an answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) fields: Lines,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Lines,
}

/// Asks, and reads the answer. `None` where the exchange ended early as it was meant to.
pub(crate) async fn ask(
    client: SendRequest<Bytes>,
    number: usize,
    plan: Exchange,
) -> Result<Option<Answered>, h2::Error> {
    let mut client = client.ready().await?;
    let mut request = Request::builder()
        .method(plan.method)
        .uri(format!("http://example.com{}", plan.path))
        .body(())
        .unwrap();
    *request.headers_mut() = map(&plan.fields);
    request.headers_mut().insert("x-plan", number.into());
    let end = plan.body.is_none();
    let (response, mut stream) = client.send_request(request, end)?;
    if let Some(pieces) = &plan.body {
        let mut rest = Bytes::from(content(pieces));
        let gives_trailers = !plan.trailers.is_empty();
        for (at, piece) in pieces.iter().enumerate() {
            let is_last = at + 1 == pieces.len() && !gives_trailers;
            stream.send_data(rest.split_to(*piece), is_last)?;
        }
        if gives_trailers {
            stream.send_trailers(map(&plan.trailers))?;
        } else if pieces.is_empty() {
            stream.send_data(Bytes::new(), true)?;
        }
    }
    if plan.end == End::ClientGivesUp {
        stream.send_reset(Reason::CANCEL);
        return Ok(None);
    }
    let answered = read(response).await;
    match answered {
        Err(error) if plan.end == End::AppGivesUp => {
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error}");
            Ok(None)
        }
        answered => answered.map(Some),
    }
}

async fn read(response: h2::client::ResponseFuture) -> Result<Answered, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let body = read_body(&mut stream).await?;
    let trailers = stream.trailers().await?;
    Ok(Answered {
        status: head.status.as_u16(),
        fields: lines(&head.headers),
        body,
        trailers: trailers.as_ref().map(lines).unwrap_or_default(),
    })
}

async fn read_body(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn map(lines: &Lines) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    map
}

fn lines(map: &HeaderMap) -> Lines {
    map.iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}
