// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createEnrolmentTokensTable } from '../enrolment/enrolment-tokens';
import { createReadModelTables, readModelTables } from '../read-models/read-model-tables';

/** Tables of this server: read models, which can be built again from the events, and the hashes of enrolment tokens. */
export class CreateReadModels1763770000000 implements MigrationInterface {
  readonly name = 'CreateReadModels1763770000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(createReadModelTables);
    await queryRunner.query(createEnrolmentTokensTable);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of [...readModelTables, 'enrolment_tokens']) await queryRunner.query(`drop table ${table}`);
  }
}
