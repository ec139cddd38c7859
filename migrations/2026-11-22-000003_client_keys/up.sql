-- A client proves itself by a secret, or by a key whose private half never leaves it. Each credential has an id to be named by.
ALTER TABLE auth.credential ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE auth.credential ALTER COLUMN id DROP DEFAULT;
ALTER TABLE auth.credential DROP CONSTRAINT credential_pkey;
ALTER TABLE auth.credential ADD PRIMARY KEY (id);
ALTER TABLE auth.credential ADD CONSTRAINT credential_public_id UNIQUE (public_id);
ALTER TABLE auth.credential ALTER COLUMN public_id DROP NOT NULL;
ALTER TABLE auth.credential ALTER COLUMN mac DROP NOT NULL;
ALTER TABLE auth.credential ALTER COLUMN pepper_version DROP NOT NULL;
-- The canonical form of RFC 7638, of which the thumbprint is made.
ALTER TABLE auth.credential ADD COLUMN public_key text COLLATE "C";
ALTER TABLE auth.credential DROP CONSTRAINT credential_kind_check;
ALTER TABLE auth.credential ADD CONSTRAINT credential_kind_check CHECK (
  kind = 'client_secret' AND num_nulls(public_id, mac, pepper_version) = 0 AND public_key IS NULL
  OR kind = 'public_key' AND num_nonnulls(public_id, mac, pepper_version) = 0 AND public_key IS NOT NULL);

-- A client's assertion is taken once.
CREATE TABLE auth.used_assertion (
  vendor_id uuid NOT NULL,
  principal_id uuid NOT NULL,
  jti_hash bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, principal_id, jti_hash),
  FOREIGN KEY (vendor_id, principal_id) REFERENCES todoku.principal (vendor_id, id));
