//! What is left of a body when its request is answered. Of one read to its end nothing is left, and keeping it does nothing.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpMessage, HttpRequest, dev, web};
use futures_util::StreamExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a refused request may still send, and how long that may take, for its connection to be of further use.
const SMALL: usize = 16 * 1024;
const MOMENT: Duration = Duration::from_millis(40);

/// A body nobody will read to its end. As long as it is kept, the connection is closed behind the answer; dropped before, a body in chunks would be
/// read and thrown away for as long as its sender likes.
pub struct Unread {
    _payload: dev::Payload,
}

impl Unread {
    /// All that is left of a body, to go behind the answer; `None` where there is none.
    pub fn whole(payload: dev::Payload) -> Option<Self> {
        (!matches!(payload, dev::Payload::None)).then_some(Self { _payload: payload })
    }

    /// Keeps what is left of a body beside its request, until the answer is on its way.
    pub fn keep(request: &HttpRequest, payload: dev::Payload) {
        if let Some(unread) = Self::whole(payload) {
            request.extensions_mut().insert(unread);
        }
    }

    /// The end of a refused request: what comes of its body is thrown away, as long as it is small and there in a moment, and the rest kept. With nothing left of
    /// it the connection serves the next request, and in a flood of refusals nobody has to connect anew.
    pub async fn refuse(request: &HttpRequest, payload: dev::Payload) {
        if let Some(rest) = Self::rest(payload).await {
            request.extensions_mut().insert(rest);
        }
    }

    /// The same of a request nothing was made of: what is to go behind its answer.
    pub async fn rest(mut payload: dev::Payload) -> Option<Self> {
        let all = async {
            let mut seen = 0;
            while let Some(Ok(bytes)) = payload.next().await {
                seen += bytes.len();
                if seen > SMALL {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(MOMENT, all).await;
        Self::whole(payload)
    }

    /// Puts it behind an answer's body.
    pub fn behind(body: BoxBody, unread: Option<Self>) -> BoxBody {
        match unread {
            Some(unread) => Followed { body, _unread: unread }.boxed(),
            None => body,
        }
    }

    /// Puts what is kept beside a request behind the answer.
    pub fn follow(response: dev::ServiceResponse<BoxBody>) -> dev::ServiceResponse<BoxBody> {
        let unread = response.request().extensions_mut().remove::<Self>();
        response.map_body(|_, body| Self::behind(body, unread))
    }
}

/// An answer's body with what came behind the request.
struct Followed {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Followed {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
