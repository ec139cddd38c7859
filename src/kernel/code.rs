//! The catalogue of problems and of broken fields: stable codes, English and Japanese words. A new one needs a row here
//! and nothing else; `/problems/{code}` and the API document are made from this table.

use super::text::Broken;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $slug:literal, $en:literal, $ja:literal;)*) => {
        /// What kind of problem a request ran into (SECURITY c.11).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }
        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];
            /// The stable name, last part of the problem's URI.
            pub fn slug(self) -> &'static str { match self { $(Code::$name => $slug,)* } }
            /// The English title.
            pub fn title(self) -> &'static str { match self { $(Code::$name => $en,)* } }
            /// The Japanese title.
            pub fn title_ja(self) -> &'static str { match self { $(Code::$name => $ja,)* } }
        }
    };
}

codes! {
    /// Not JSON, or JSON this API does not read.
    MalformedRequest, "malformed-request", "The request is not well-formed", "リクエストの形式が正しくありません";
    /// A query parameter is wrong.
    InvalidParameter, "invalid-parameter", "A query parameter is not valid", "クエリパラメータが正しくありません";
    /// The cursor is not one of this list for this caller.
    InvalidCursor, "invalid-cursor", "The cursor is not valid for this list", "カーソルがこの一覧に対して有効ではありません";
    /// The Idempotency-Key header is not of the published form.
    IdempotencyKeyInvalid, "idempotency-key-invalid", "The Idempotency-Key is not valid", "Idempotency-Key の形式が正しくありません";
    /// No valid access token.
    Unauthenticated, "unauthenticated", "A valid access token is required", "有効なアクセストークンが必要です";
    /// The token lacks the scope, or the caller is of the wrong kind.
    InsufficientScope, "insufficient-scope", "The credential does not allow this operation", "この操作に必要な権限がありません";
    /// The partner or the vendor is suspended.
    TenantSuspended, "tenant-suspended", "The partner or the vendor is suspended", "パートナーまたはベンダーの利用が停止されています";
    /// A page of a foreign origin asks whether it may call.
    OriginNotAllowed, "origin-not-allowed", "Pages of this origin may not call the API", "このオリジンのページからは API を呼び出せません";
    /// The row may be seen, but belongs to another partner.
    ReadOnlyHere, "read-only-here", "This record belongs to another partner and is read-only here", "この記録は別のパートナーのもので、ここでは閲覧のみできます";
    /// There is no such thing for this caller.
    NotFound, "not-found", "There is no such resource", "リソースが見つかりません";
    /// The path exists, the method does not.
    MethodNotAllowed, "method-not-allowed", "The method is not allowed here", "このメソッドは使用できません";
    /// None of the accepted media types can be given.
    NotAcceptable, "not-acceptable", "None of the accepted media types is available", "要求されたメディアタイプでは応答できません";
    /// The body came too slowly.
    RequestTimeout, "request-timeout", "The request took too long to arrive", "リクエストの受信がタイムアウトしました";
    /// Something with this natural key exists.
    AlreadyExists, "already-exists", "It already exists", "すでに存在します";
    /// The state of the thing does not allow this.
    StateConflict, "state-conflict", "The current state does not allow this", "現在の状態ではこの操作はできません";
    /// The same key is being worked on.
    IdempotencyInProgress, "idempotency-in-progress", "A request with this Idempotency-Key is still running", "同じ Idempotency-Key のリクエストを処理中です";
    /// If-Match names another version.
    PreconditionFailed, "precondition-failed", "The record has changed since it was read", "読み取り後に記録が変更されています";
    /// The body is larger than allowed.
    PayloadTooLarge, "payload-too-large", "The body is too large", "本文が大きすぎます";
    /// Not a media type or encoding this operation reads.
    UnsupportedMediaType, "unsupported-media-type", "The media type or encoding is not supported", "メディアタイプまたは符号化方式に対応していません";
    /// Fields of the body are wrong.
    ValidationFailed, "validation-failed", "Some fields are not valid", "入力内容に誤りがあります";
    /// A field names something that does not exist for this caller.
    ReferenceNotFound, "reference-not-found", "A referenced record does not exist", "参照先の記録が見つかりません";
    /// A name that cannot be told from another's.
    ConfusableName, "confusable-name", "The name looks like the name of another partner", "名称が別のパートナーの名称と見分けがつきません";
    /// The same key came with another request.
    IdempotencyKeyReused, "idempotency-key-reused", "The Idempotency-Key was used for a different request", "Idempotency-Key が別のリクエストで使用されています";
    /// An atomic batch had rejected rows; nothing was applied.
    BatchRejected, "batch-rejected", "Some rows were rejected, so nothing was applied", "却下された行があるため、何も反映していません";
    /// If-Match is missing.
    PreconditionRequired, "precondition-required", "If-Match is required", "If-Match ヘッダーが必要です";
    /// A rate or quota is used up.
    QuotaExceeded, "quota-exceeded", "Too many requests", "リクエストが多すぎます";
    /// Our fault.
    InternalError, "internal-error", "Something went wrong on our side", "サーバー内部でエラーが発生しました";
    /// No capacity right now.
    Overloaded, "overloaded", "The service is overloaded, try again", "混雑しています。時間をおいて再試行してください";
    /// The database does not answer.
    DatabaseUnavailable, "database-unavailable", "The database is unavailable, try again", "データベースに接続できません。時間をおいて再試行してください";
    /// The disk is full.
    StorageExhausted, "storage-exhausted", "The storage is exhausted", "保存領域が不足しています";
    /// The connection was lost while committing.
    OutcomeUnknown, "outcome-unknown", "The outcome is unknown; retry with the same Idempotency-Key", "結果を確認できません。同じ Idempotency-Key で再試行してください";
    /// The process is stopping.
    ShuttingDown, "shutting-down", "The service is shutting down, try again", "停止処理中です。再試行してください";
}

impl Broken {
    /// Every code there is.
    pub const ALL: &'static [Broken] = &[
        Broken::Required,
        Broken::UnknownField,
        Broken::WrongType,
        Broken::Empty,
        Broken::TooLong,
        Broken::ForbiddenCharacter,
        Broken::NotInSet,
        Broken::Malformed,
        Broken::OutOfRange,
        Broken::InTheFuture,
        Broken::ReferenceNotFound,
        Broken::Duplicate,
        Broken::BadCheckDigit,
        Broken::Confusable,
        Broken::OneOf,
        Broken::Contradiction,
        Broken::Immutable,
    ];

    /// The stable name.
    pub fn slug(self) -> &'static str {
        self.words().0
    }

    /// What to say about it, in English.
    pub fn detail(self) -> &'static str {
        self.words().1
    }

    /// What to say about it, in Japanese.
    pub fn detail_ja(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Broken::Required => ("required", "is required", "必須項目です"),
            Broken::UnknownField => ("unknown-field", "is not a known field", "未知の項目です"),
            Broken::WrongType => ("wrong-type", "has the wrong JSON type", "JSON の型が違います"),
            Broken::Empty => ("empty", "must not be empty", "空にできません"),
            Broken::TooLong => ("too-long", "is too long", "長すぎます"),
            Broken::ForbiddenCharacter => ("forbidden-character", "contains a character that is not allowed", "使用できない文字が含まれています"),
            Broken::NotInSet => ("not-in-set", "is not one of the allowed values", "許可された値ではありません"),
            Broken::Malformed => ("malformed", "does not have the documented form", "形式が正しくありません"),
            Broken::OutOfRange => ("out-of-range", "is outside the documented range", "範囲外の値です"),
            Broken::InTheFuture => ("in-the-future", "lies in the future", "未来の日時です"),
            Broken::ReferenceNotFound => ("reference-not-found", "does not name an existing record", "該当する記録がありません"),
            Broken::Duplicate => ("duplicate", "is given twice", "重複しています"),
            Broken::BadCheckDigit => ("bad-check-digit", "has a wrong check digit", "チェックデジットが一致しません"),
            Broken::Confusable => ("confusable", "cannot be told from the name of another partner", "別のパートナーの名称と見分けがつきません"),
            Broken::OneOf => ("one-of", "exactly one of the alternatives must be given", "いずれか一つだけを指定してください"),
            Broken::Contradiction => ("contradiction", "does not fit together with another field", "他の項目と矛盾しています"),
            Broken::Immutable => ("immutable", "cannot be changed", "変更できません"),
        }
    }
}
