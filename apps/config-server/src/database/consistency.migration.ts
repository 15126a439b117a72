// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What stands still while a volume is cut, and whether it does at the periodic bookmarks of a plan. */
export class AddConsistency1763980000000 implements MigrationInterface {
  readonly name = 'AddConsistency1763980000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`alter table rm_volumes add column hooks jsonb not null default '[]'`);
    await queryRunner.query(`alter table rm_plans add column consistency_level text not null default 'crash'`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_plans drop column consistency_level');
    await queryRunner.query('alter table rm_volumes drop column hooks');
  }
}
