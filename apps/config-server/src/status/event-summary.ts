// SPDX-License-Identifier: Apache-2.0
import { type CurrentEvent, findEventDefinition, type HistoryEntry } from '@secondsite/contracts';

/** An event as history shows it. */
export function historyEntry(event: CurrentEvent): HistoryEntry {
  const { id, type, time, actor, correlationid, causationid, traceparent, data } = event;
  return {
    eventId: id, type, occurredAt: time, actor: `${actor.kind} ${actor.id}`, summary: summaryOf(event), correlationId: correlationid, data,
    ...(causationid === undefined ? {} : { causationId: causationid }), ...(traceparent === undefined ? {} : { traceId: traceparent.split('-')[1] }),
  };
}

/** The fact in a sentence, with what matters of its data. */
function summaryOf(event: CurrentEvent): string {
  const sentence = findEventDefinition(event.type)?.summary ?? event.type;
  const details = detailsOf(event);
  return details === undefined ? sentence : `${sentence.replace(/\.$/, '')}: ${details}.`;
}

function detailsOf({ type, data }: CurrentEvent): string | undefined {
  switch (type) {
    case 'secondsite.replication.replication-stalled.v1':
      return `${data.reason}, ${Math.round(data.stalledSeconds)} s behind`;
    case 'secondsite.replication.resync-started.v1':
      return `${data.reason}, epoch ${data.epoch}`;
    case 'secondsite.replication.resync-compared.v1':
      return `${data.comparedBlocks} blocks compared, ${data.sentBlocks} sent, ${data.skippedBlocks} skipped`;
    case 'secondsite.replication.resync-required.v1':
    case 'secondsite.replication.change-set-refused.v1':
    case 'secondsite.recovery.bookmark-failed.v1':
    case 'secondsite.recovery.point-refused.v1':
    case 'secondsite.security.enrolment-refused.v1':
    case 'secondsite.security.peer-refused.v1':
      return data.reason;
    case 'secondsite.recovery.view-opened.v1':
      return `${data.viewId} as of ${data.pointTime}`;
    case 'secondsite.protection.retention-changed.v1':
      return `${data.retention.windowSeconds} s`;
    default:
      return 'name' in data && typeof data.name === 'string' ? data.name : undefined;
  }
}
