// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { addMovesToPairs } from '../read-models/read-model-tables';

/** Moves of pairs between process servers and plans, in databases that are older than they. */
export class AddMoves1764190000000 implements MigrationInterface {
  readonly name = 'AddMoves1764190000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(addMovesToPairs);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const columns = ['moves', 'leaving', 'left_process_servers', 'kept_until', 'left_retention'];
    await queryRunner.query(`alter table rm_pairs ${columns.map((column) => `drop column ${column}`).join(', ')}`);
  }
}
