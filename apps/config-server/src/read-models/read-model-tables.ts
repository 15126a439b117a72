// SPDX-License-Identifier: Apache-2.0
/** Tables that follow from the events alone: they can be dropped and built again. Times are texts, exact to the microsecond. */
export const readModelTables = ['rm_hosts', 'rm_components', 'rm_volumes', 'rm_plans', 'rm_pairs', 'rm_enrolment_tokens'] as const;

/** Idempotent. */
export const addPinsToPlans = `alter table rm_plans add column if not exists pins jsonb not null default '[]'`;

/** Idempotent. `leaving`: `{ fromId, switched, since }` while the pair moves to another process server; the last two while it is in no plan. */
export const addMovesToPairs = `
alter table rm_pairs add column if not exists moves integer not null default 0;
alter table rm_pairs add column if not exists leaving jsonb;
alter table rm_pairs add column if not exists left_process_servers jsonb not null default '[]';
alter table rm_pairs add column if not exists kept_until text;
alter table rm_pairs add column if not exists left_retention jsonb;
`;

/** Idempotent. Run before the first event is appended. */
export const createReadModelTables = `
create table if not exists rm_hosts (
  host_id text primary key, name text not null unique, added_at text not null, priority text not null default 'normal'
);
create table if not exists rm_components (
  component_id text primary key, role text not null, name text not null, enrolled_at text not null, url text, version text, certificate_expires_at text,
  bandwidth jsonb
);
create table if not exists rm_volumes (
  volume_id text primary key, host_id text not null, name text not null unique, tap jsonb not null, size_bytes bigint, added_at text not null
);
create table if not exists rm_plans (
  plan_id text primary key, name text not null, state text not null, created_at text not null, retention jsonb not null,
  consistency_interval_seconds integer, compression text not null, folding boolean not null, bandwidth jsonb, automatic_resync jsonb
);
create unique index if not exists rm_plans_name on rm_plans (name) where state <> 'removed';
create table if not exists rm_pairs (
  pair_id text primary key, plan_id text not null, volume_id text not null, volume_name text not null, host_id text not null,
  process_server_id text not null, master_target_id text not null, size_bytes bigint not null, created_at text not null,
  state text not null default 'queued', epoch bigint not null default 0, bitmap_mode boolean not null default false,
  flow_controlled boolean not null default false, resync_required_since text, resync_reason text, stalled_since text, stall_reason text,
  delete_data boolean not null default false, required_work text, whole_since text, resync_requests integer not null default 0,
  resync_requested_at text, last_resync jsonb, shrunk_since text, shrunk_to bigint,
  placement integer not null default 0, moving_to text, former_targets jsonb not null default '[]'
);
create unique index if not exists rm_pairs_volume on rm_pairs (volume_id) where state <> 'removed';
create table if not exists rm_enrolment_tokens (
  token_id text primary key, role text not null, host_id text, issued_at text not null, expires_at text not null, used_by text
);
`;
