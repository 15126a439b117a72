// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Moves of pairs between master targets, in databases that are older than them. */
export class AddTargetMoves1764200000000 implements MigrationInterface {
  readonly name = 'AddTargetMoves1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table rm_pairs add column if not exists placement integer not null default 0;
      alter table rm_pairs add column if not exists moving_to text;
      alter table rm_pairs add column if not exists former_targets jsonb not null default '[]';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_pairs drop column placement, drop column moving_to, drop column former_targets');
  }
}
