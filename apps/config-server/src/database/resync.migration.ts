// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What pairs have to read, and that their source shrank, in databases that are older than it. */
export class AddResyncColumns1764180000000 implements MigrationInterface {
  readonly name = 'AddResyncColumns1764180000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table rm_pairs add column if not exists required_work text;
      alter table rm_pairs add column if not exists whole_since text;
      alter table rm_pairs add column if not exists resync_requests integer not null default 0;
      alter table rm_pairs add column if not exists resync_requested_at text;
      alter table rm_pairs add column if not exists last_resync jsonb;
      alter table rm_plans add column if not exists automatic_resync jsonb;
      alter table rm_pairs add column if not exists shrunk_since text;
      alter table rm_pairs add column if not exists shrunk_to bigint;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const columns = ['required_work', 'whole_since', 'resync_requests', 'resync_requested_at', 'last_resync', 'shrunk_since', 'shrunk_to'];
    await queryRunner.query('alter table rm_plans drop column automatic_resync');
    await queryRunner.query(`alter table rm_pairs ${columns.map((column) => `drop column ${column}`).join(', ')}`);
  }
}
