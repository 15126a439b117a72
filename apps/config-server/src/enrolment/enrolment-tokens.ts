// SPDX-License-Identifier: Apache-2.0
import type { EnrolmentTokenRecord, EnrolmentTokenStore, EnrolmentTokenUse } from '@secondsite/certificates';
import type { DataPlaneRole } from '@secondsite/contracts';
import type { EntityManager } from 'typeorm';

/** Not a read model: hashes are kept out of events, so this cannot be built from them. */
export const createEnrolmentTokensTable = `
create table if not exists enrolment_tokens (
  token_hash text primary key, token_id text not null unique, tenant_id text not null, role text not null, host_id text,
  expires_at_millis bigint not null, used_at_millis bigint, component_id text, public_key_sha256 text
);
`;

export interface StoredToken {
  readonly tokenId: string;
  readonly hostId: string | undefined;
  readonly record: EnrolmentTokenRecord;
}

interface TokenTableRow {
  readonly token_hash: string;
  readonly token_id: string;
  readonly tenant_id: string;
  readonly role: DataPlaneRole;
  readonly host_id: string | null;
  readonly expires_at_millis: string;
  readonly used_at_millis: string | null;
  readonly component_id: string | null;
  readonly public_key_sha256: string | null;
}

/** Enrolment tokens in PostgreSQL, as part of the transaction of the manager given. */
export class EnrolmentTokens implements EnrolmentTokenStore {
  constructor(private readonly manager: EntityManager) {}

  async add({ tokenId, hostId, record }: StoredToken): Promise<void> {
    await this.manager.query(
      'insert into enrolment_tokens (token_hash, token_id, tenant_id, role, host_id, expires_at_millis) values ($1, $2, $3, $4, $5, $6)',
      [record.tokenHash, tokenId, record.tenantId, record.role, hostId ?? null, record.expiresAtMillis],
    );
  }

  async find(tokenHash: string): Promise<EnrolmentTokenRecord | undefined> {
    return (await this.load(tokenHash))?.record;
  }

  /** The token with what only this server knows of it; its row is locked until the transaction ends. */
  async load(tokenHash: string): Promise<StoredToken | undefined> {
    const [row] = await this.manager.query<TokenTableRow[]>('select * from enrolment_tokens where token_hash = $1 for update', [tokenHash]);
    return row && { tokenId: row.token_id, hostId: row.host_id ?? undefined, record: recordOf(row) };
  }

  async markUsed(tokenHash: string, use: EnrolmentTokenUse): Promise<boolean> {
    const marked: unknown = await this.manager.query(
      `update enrolment_tokens set used_at_millis = $2, component_id = $3, public_key_sha256 = $4
       where token_hash = $1 and used_at_millis is null returning token_id`,
      [tokenHash, use.usedAtMillis, use.componentId, use.publicKeySha256],
    );
    const [rows] = marked as [unknown[], number];
    return rows.length === 1;
  }
}

function recordOf(row: TokenTableRow): EnrolmentTokenRecord {
  const { token_hash: tokenHash, tenant_id: tenantId, role, component_id: componentId, public_key_sha256: publicKeySha256 } = row;
  const record = { tokenHash, tenantId, role, expiresAtMillis: Number(row.expires_at_millis) };
  if (row.used_at_millis === null || componentId === null || publicKeySha256 === null) return record;
  return { ...record, use: { usedAtMillis: Number(row.used_at_millis), componentId, publicKeySha256 } };
}
