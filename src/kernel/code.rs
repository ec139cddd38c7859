//! The catalogue of problems and of broken fields: stable codes, English and Japanese words. A new one needs a row here
//! and nothing else; `/problems/{code}` and the API document are made from this table.

use super::text::Broken;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $slug:literal, $en:literal, $ja:literal, $detail:literal, $detail_ja:literal;)*) => {
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
            /// What to do about it, in English.
            pub fn detail(self) -> &'static str { match self { $(Code::$name => $detail,)* } }
            /// What to do about it, in Japanese.
            pub fn detail_ja(self) -> &'static str { match self { $(Code::$name => $detail_ja,)* } }
        }
    };
}

codes! {
    /// Not JSON, or JSON this API does not read.
    MalformedRequest, "malformed-request", "The request is not well-formed", "リクエストの形式が正しくありません",
        "Send one JSON document in UTF-8: every member once, at most 16 levels deep, nothing behind it.", "UTF-8 の JSON 文書を一つだけ送ってください。同じ名前の項目は一度だけ、入れ子は 16 段まで、末尾に余分な文字は置けません。";
    /// A query parameter is wrong.
    InvalidParameter, "invalid-parameter", "A query parameter is not valid", "クエリパラメータが正しくありません",
        "`errors` names each parameter; the API document lists what it may be.", "`errors` に該当するパラメータを示します。指定できる値は API 仕様書をご覧ください。";
    /// The cursor is not one of this list for this caller.
    InvalidCursor, "invalid-cursor", "The cursor is not valid for this list", "カーソルがこの一覧に対して有効ではありません",
        "Take the cursor from `next` of the same list with the same filters, or begin again without one.", "同じ一覧・同じ絞り込み条件の `next` のカーソルを使うか、カーソルなしで最初から取得してください。";
    /// The Idempotency-Key header is not of the published form.
    IdempotencyKeyInvalid, "idempotency-key-invalid", "The Idempotency-Key is not valid", "Idempotency-Key の形式が正しくありません",
        "Give one key of 1 to 255 visible ASCII characters.", "表示可能な ASCII 文字 1〜255 文字のキーを一つだけ指定してください。";
    /// No valid access token.
    Unauthenticated, "unauthenticated", "A valid access token is required", "有効なアクセストークンが必要です",
        "Get a token at /oauth/token and send it as `Authorization: Bearer`. Tokens live 300 seconds.", "/oauth/token でトークンを取得し、`Authorization: Bearer` で送ってください。有効期間は 300 秒です。";
    /// The token lacks the scope, or the caller is of the wrong kind.
    InsufficientScope, "insufficient-scope", "The credential does not allow this operation", "この操作に必要な権限がありません",
        "The operation's entry in the API document names the scope and the kind of caller it needs.", "必要なスコープと呼び出し元の種別は、API 仕様書の各操作に記載しています。";
    /// The partner or the vendor is suspended.
    TenantSuspended, "tenant-suspended", "The partner or the vendor is suspended", "パートナーまたはベンダーの利用が停止されています",
        "Ask the vendor. Nothing was changed.", "ベンダーにお問い合わせください。何も変更していません。";
    /// A page of a foreign origin asks whether it may call.
    OriginNotAllowed, "origin-not-allowed", "Pages of this origin may not call the API", "このオリジンのページからは API を呼び出せません",
        "Call the API from a server, not from a page in a browser.", "ブラウザーのページからではなく、サーバーから呼び出してください。";
    /// The row may be seen, but belongs to another partner.
    ReadOnlyHere, "read-only-here", "This record belongs to another partner and is read-only here", "この記録は別のパートナーのもので、ここでは閲覧のみできます",
        "Its partner alone may change it.", "変更できるのは、その記録を持つパートナーだけです。";
    /// There is no such thing for this caller.
    NotFound, "not-found", "There is no such resource", "リソースが見つかりません",
        "There is nothing here for this caller.", "この呼び出し元に対応するものはありません。";
    /// The path exists, the method does not.
    MethodNotAllowed, "method-not-allowed", "The method is not allowed here", "このメソッドは使用できません",
        "`Allow` lists the methods there are.", "使用できるメソッドは `Allow` ヘッダーに示します。";
    /// None of the accepted media types can be given.
    NotAcceptable, "not-acceptable", "None of the accepted media types is available", "要求されたメディアタイプでは応答できません",
        "Accept `application/json`.", "`application/json` を受け入れてください。";
    /// The body came too slowly.
    RequestTimeout, "request-timeout", "The request took too long to arrive", "リクエストの受信がタイムアウトしました",
        "Send the body within 10 seconds, or at 1 KiB a second or more within 30 seconds, a batch within 120. Nothing was changed.", "本文は 10 秒以内に、または毎秒 1 KiB 以上で 30 秒（一括の場合は 120 秒）以内に送ってください。何も変更していません。";
    /// Something with this natural key exists.
    AlreadyExists, "already-exists", "It already exists", "すでに存在します",
        "Read the one there is, and change it instead.", "既存の記録を読み取り、それを変更してください。";
    /// The state of the thing does not allow this.
    StateConflict, "state-conflict", "The current state does not allow this", "現在の状態ではこの操作はできません",
        "Read the record again; what it allows depends on its state.", "記録を読み直してください。可能な操作は状態によって異なります。";
    /// The same key is being worked on.
    IdempotencyInProgress, "idempotency-in-progress", "A request with this Idempotency-Key is still running", "同じ Idempotency-Key のリクエストを処理中です",
        "Try again with the same key after `Retry-After` seconds.", "`Retry-After` の秒数を待ち、同じキーで再試行してください。";
    /// If-Match names another version.
    PreconditionFailed, "precondition-failed", "The record has changed since it was read", "読み取り後に記録が変更されています",
        "Read it again, and repeat the change with its new `ETag`.", "読み直し、新しい `ETag` で変更をやり直してください。";
    /// The body is larger than allowed.
    PayloadTooLarge, "payload-too-large", "The body is too large", "本文が大きすぎます",
        "A body may have 256 KiB, a batch 32 MiB and 10,000 rows.", "本文は 256 KiB まで、一括登録は 32 MiB・10,000 行までです。";
    /// Not a media type or encoding this operation reads.
    UnsupportedMediaType, "unsupported-media-type", "The media type or encoding is not supported", "メディアタイプまたは符号化方式に対応していません",
        "Send `application/json` in UTF-8 without a content encoding.", "UTF-8 の `application/json` を、圧縮せずに送ってください。";
    /// Fields of the body are wrong.
    ValidationFailed, "validation-failed", "Some fields are not valid", "入力内容に誤りがあります",
        "`errors` points at every field that is wrong. Nothing was changed.", "誤りのある項目をすべて `errors` に示します。何も変更していません。";
    /// A field names something that does not exist for this caller.
    ReferenceNotFound, "reference-not-found", "A referenced record does not exist", "参照先の記録が見つかりません",
        "`errors` points at what names nothing that exists for you. Nothing was changed.", "該当する記録がない項目を `errors` に示します。何も変更していません。";
    /// A name that cannot be told from another's.
    ConfusableName, "confusable-name", "The name looks like the name of another partner", "名称が別のパートナーの名称と見分けがつきません",
        "Choose a name that people can tell from those there are.", "既存の名称と見分けられる名称にしてください。";
    /// The same key came with another request.
    IdempotencyKeyReused, "idempotency-key-reused", "The Idempotency-Key was used for a different request", "Idempotency-Key が別のリクエストで使用されています",
        "A key stands for one request; a different one needs a new key. Nothing was changed.", "一つのキーは一つのリクエストだけに使えます。別のリクエストには新しいキーを使ってください。何も変更していません。";
    /// An atomic batch had rejected rows; nothing was applied.
    BatchRejected, "batch-rejected", "Some rows were rejected, so nothing was applied", "却下された行があるため、何も反映していません",
        "`errors` points at the rows. Mend or leave them out, or send the batch without `atomic`.", "該当する行を `errors` に示します。修正または除外するか、`atomic` なしで送ってください。";
    /// If-Match is missing.
    PreconditionRequired, "precondition-required", "If-Match is required", "If-Match ヘッダーが必要です",
        "Read the record, and send its `ETag` as `If-Match`.", "記録を読み取り、その `ETag` を `If-Match` で送ってください。";
    /// A rate or quota is used up.
    QuotaExceeded, "quota-exceeded", "Too many requests", "リクエストが多すぎます",
        "Wait `Retry-After` seconds. `violated-policies` names the budget; of `read` and `write` the `RateLimit` headers tell what is left.", "`Retry-After` の秒数を待ってください。使い切った枠は `violated-policies` に示します。`read` と `write` の残りは `RateLimit` ヘッダーで分かります。";
    /// Our fault.
    InternalError, "internal-error", "Something went wrong on our side", "サーバー内部でエラーが発生しました",
        "It is in our log under the request's id.", "リクエスト ID とともに記録しました。";
    /// No capacity right now.
    Overloaded, "overloaded", "The service is overloaded, try again", "混雑しています。時間をおいて再試行してください",
        "Try again after `Retry-After` seconds. Nothing was changed.", "`Retry-After` の秒数を待って再試行してください。何も変更していません。";
    /// The database does not answer.
    DatabaseUnavailable, "database-unavailable", "The database is unavailable, try again", "データベースに接続できません。時間をおいて再試行してください",
        "Try again after `Retry-After` seconds. Nothing was changed.", "`Retry-After` の秒数を待って再試行してください。何も変更していません。";
    /// The disk is full.
    StorageExhausted, "storage-exhausted", "The storage is exhausted", "保存領域が不足しています",
        "Nothing can be written until there is room. Nothing was changed; reading goes on.", "空き容量ができるまで書き込めません。何も変更していません。読み取りは続けられます。";
    /// The connection was lost while committing.
    OutcomeUnknown, "outcome-unknown", "The outcome is unknown; retry with the same Idempotency-Key", "結果を確認できません。同じ Idempotency-Key で再試行してください",
        "It may have happened or not; the same key brings the truth, and never a second effect.", "反映されたかどうか確認できません。同じキーで再試行すれば、二重に反映されることなく結果が分かります。";
    /// The process is stopping.
    ShuttingDown, "shutting-down", "The service is shutting down, try again", "停止処理中です。再試行してください",
        "Try again; another process takes over. Nothing was changed.", "再試行してください。別のプロセスが引き継ぎます。何も変更していません。";
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
        Broken::Circular,
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
            Broken::Circular => ("circular", "comes back to itself", "循環しています"),
            Broken::Immutable => ("immutable", "cannot be changed", "変更できません"),
        }
    }
}
