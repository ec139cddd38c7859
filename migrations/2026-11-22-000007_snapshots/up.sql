-- Published snapshots: figures as days had closed, numbered and hashed. Written once; no login may change or delete one.
-- `report` is the very text that was published, and `sha256` the hash of its bytes, in hexadecimal.
CREATE TABLE todoku.snapshot (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  id uuid NOT NULL,
  -- 1, 2, 3 ... of the vendor, without a gap.
  number bigint NOT NULL CHECK (number > 0),
  title text,
  as_of date NOT NULL,
  known_at timestamptz NOT NULL,
  report text NOT NULL,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  created_at timestamptz NOT NULL,
  created_by uuid NOT NULL,
  PRIMARY KEY (vendor_id, id),
  CONSTRAINT snapshot_number UNIQUE (vendor_id, number));
