// SPDX-License-Identifier: Apache-2.0
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { addPinsToPlans } from '../read-models/read-model-tables';

/** Pinned recovery points of plans. */
export class AddPlanPins1764180000000 implements MigrationInterface {
  readonly name = 'AddPlanPins1764180000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(addPinsToPlans);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table rm_plans drop column pins');
  }
}
