// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';

/** The alerts that are raised, and what of plans they are decided from. */
export class AddAlerts1763780000000 implements MigrationInterface {
  readonly name = 'AddAlerts1763780000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`create table rm_alerts (
      subject_id text not null, kind text not null, subject_kind text not null, subject_name text not null, severity text not null, words text not null,
      hint text not null, since text not null, primary key (subject_id, kind)
    )`);
    await queryRunner.query('alter table rm_plans add column rpo_threshold_seconds integer, add column bookmark_failure text');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table rm_alerts');
    await queryRunner.query('alter table rm_plans drop column rpo_threshold_seconds, drop column bookmark_failure');
  }
}

export async function applyAlertEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  if (event.type === 'secondsite.monitoring.alert-raised.v1') {
    const { subjectId, kind, subjectKind, subjectName, severity, words, hint } = event.data;
    await manager.query(
      `insert into rm_alerts (subject_id, kind, subject_kind, subject_name, severity, words, hint, since) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [subjectId, kind, subjectKind, subjectName, severity, words, hint, event.time],
    );
  } else if (event.type === 'secondsite.monitoring.alert-cleared.v1') {
    await manager.query('delete from rm_alerts where subject_id = $1 and kind = $2', [event.data.subjectId, event.data.kind]);
  }
}
