// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Columns of the read models for bandwidth limits and priorities, for databases that were made before there were any. */
export class AddBandwidth1764180000000 implements MigrationInterface {
  readonly name = 'AddBandwidth1764180000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`alter table rm_hosts add column if not exists priority text not null default 'normal'`);
    await queryRunner.query('alter table rm_components add column if not exists bandwidth jsonb');
    await queryRunner.query('alter table rm_plans add column if not exists bandwidth jsonb');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_hosts drop column priority');
    for (const table of ['rm_components', 'rm_plans']) await queryRunner.query(`alter table ${table} drop column bandwidth`);
  }
}
