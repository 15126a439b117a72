// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether a plan sends blocks that the master target has as references. */
export class AddDeduplication1764190000000 implements MigrationInterface {
  readonly name = 'AddDeduplication1764190000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_plans add column deduplication boolean not null default false');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_plans drop column deduplication');
  }
}
