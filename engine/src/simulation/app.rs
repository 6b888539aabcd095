//! An app of many behaviours, chosen by path. The client's half of the bargain, what each answers, is in `client.rs`.

use super::random::Random;
use crate::{Error, Request, Response, Status, Upgraded};
use bytes::Bytes;
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The bytes that `/bytes/N` and its kin send.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    // A prime number of letters, so that bytes in the wrong place differ.
    let letters = b"abcdefghijklmnopqrstuvw";
    let mut bytes = letters.repeat(len / letters.len() + 1);
    bytes.truncate(len);
    bytes
}

pub(super) async fn app(mut request: Request) -> Result<Response, Error> {
    let path = request.path().to_owned();
    let mut parts = path.split('/').skip(1);
    let what = parts.next().unwrap_or_default();
    let number: usize = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    match what {
        "hello" => Ok(Response::text("hello")),
        "sleep" => {
            crate::sleep(Duration::from_millis(number as u64)).await;
            Ok(Response::text("slept"))
        }
        "wake" => {
            for _ in 0..number {
                yield_once().await;
            }
            Ok(Response::text("woke"))
        }
        "bytes" => Ok(Response::text(pattern(number))),
        "stream" => Ok(Response::stream(None, Pieces::new(number))),
        "sized" => Ok(Response::stream(Some(number as u64), Pieces::new(number))),
        "short" => Ok(Response::stream(
            Some(number as u64 + 1),
            Pieces::new(number),
        )),
        "break" => Ok(Response::stream(
            None,
            Pieces {
                panics: true,
                ..Pieces::new(number)
            },
        )),
        "echo" => Ok(Response::stream(None, request.into_body())),
        "collect" => Ok(Response::text(request.body().collect().await?)),
        "late" => {
            crate::sleep(Duration::from_millis(number as u64)).await;
            Ok(Response::text(request.body().collect().await?))
        }
        "spawn" => {
            let body = crate::spawn_local(async move { request.body().collect().await }).await??;
            Ok(Response::text(body))
        }
        "ignore" => Ok(Response::text("ignored")),
        "fail" => Err(std::io::Error::other("made to fail").into()),
        "panic" => std::panic::resume_unwind(Box::new("made to panic")),
        "reset" => Ok(Response::reset()),
        "never" => std::future::pending().await,
        "upgrade" => Ok(Response::upgrade("echo", echo)),
        _ => Ok(Response::text("what?").with_status(Status::NOT_FOUND)),
    }
}

async fn echo(mut upgraded: Upgraded) {
    while let Some(Ok(chunk)) = upgraded.read().await {
        if upgraded.write(chunk.to_vec()).await.is_err() {
            return;
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A body in pieces of every size, some at once and some after a while.
struct Pieces {
    random: Random,
    left: Vec<u8>,
    nap: Option<crate::Sleep>,
    panics: bool,
}

impl Pieces {
    fn new(len: usize) -> Self {
        Self {
            random: Random::new(len as u64),
            left: pattern(len),
            nap: None,
            panics: false,
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(nap) = &mut self.nap {
            std::task::ready!(Pin::new(nap).poll(context));
            self.nap = None;
        } else if self.random.once_in(20) {
            let millis = self.random.millis(0..200);
            self.nap = Some(crate::sleep(millis));
            return self.poll_frame(context);
        }
        if self.left.is_empty() {
            if self.panics {
                std::panic::resume_unwind(Box::new("made to panic"));
            }
            return Poll::Ready(None);
        }
        let most = [1, 100, 5_000, 20_000][self.random.below(4)];
        let len = self.random.within(0..most + 1).min(self.left.len());
        let rest = self.left.split_off(len);
        let piece = std::mem::replace(&mut self.left, rest);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}
