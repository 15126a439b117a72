// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What stands still while a volume is cut. */
export class AddVolumeHooks1763980000000 implements MigrationInterface {
  readonly name = 'AddVolumeHooks1763980000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`alter table rm_volumes add column hooks jsonb not null default '[]'`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_volumes drop column hooks');
  }
}
