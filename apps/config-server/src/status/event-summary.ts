// SPDX-License-Identifier: Apache-2.0
import { type CurrentEvent, findEventDefinition, type HistoryEntry } from '@secondsite/contracts';
import { formatBytes, resyncWords } from '@secondsite/protection';

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
    case 'secondsite.replication.resync-chosen.v1':
      return resyncWords(data);
    case 'secondsite.replication.volume-grown.v1':
      return `from ${formatBytes(data.fromBytes)} to ${formatBytes(data.toBytes)}`;
    case 'secondsite.replication.volume-shrunk.v1':
      return `${formatBytes(data.sourceBytes)} of ${formatBytes(data.volumeBytes)}`;
    case 'secondsite.replication.resync-required.v2':
    case 'secondsite.replication.change-set-refused.v1':
    case 'secondsite.recovery.bookmark-failed.v1':
    case 'secondsite.recovery.point-refused.v1':
    case 'secondsite.security.enrolment-refused.v1':
    case 'secondsite.security.peer-refused.v1':
      return data.reason;
    case 'secondsite.monitoring.alert-raised.v1':
      return data.words;
    case 'secondsite.monitoring.alert-cleared.v1':
      return `${data.kind} of ${data.subjectName}`;
    case 'secondsite.protection.rpo-threshold-changed.v1':
      return `${data.rpoThresholdSeconds} s`;
    case 'secondsite.recovery.bookmark-created.v2':
      return `${data.name}, level ${data.level}${data.wantedLevel === undefined ? '' : `, not ${data.wantedLevel} as wanted`}`;
    case 'secondsite.recovery.view-opened.v1':
      return `${data.viewId} as of ${data.pointTime}`;
    case 'secondsite.protection.process-server-changed.v1':
      return `from ${data.fromId} to ${data.toId}`;
    case 'secondsite.protection.process-server-switched.v1':
      return `${data.toId}, from about set ${data.sequence} of epoch ${data.epoch} on`;
    case 'secondsite.protection.process-server-left.v1':
      return data.outcome === 'drained' ? `${data.fromId} has forwarded everything` : `${data.fromId} is given up, because ${data.reason ?? 'nobody waits for it'}`;
    case 'secondsite.protection.pair-joined-plan.v1':
      return `${data.planId}, after ${data.fromPlanId}`;
    case 'secondsite.protection.pair-left-plan.v1':
      return `until ${data.keptUntil}`;
    case 'secondsite.protection.automatic-resync-changed.v1': {
      const { enabled, waitSeconds, from, to, timeZone } = data.automaticResync;
      return enabled ? `${waitSeconds} s after it is required, between ${from} and ${to} ${timeZone}` : 'never by itself';
    }
    case 'secondsite.protection.retention-changed.v2':
      return `${data.retention.windowSeconds} s${data.retention.rules ? `, a ladder of ${data.retention.rules.length} rules` : ''}`;
    case 'secondsite.protection.target-move-started.v1':
    case 'secondsite.protection.target-move-cancelled.v1':
    case 'secondsite.protection.target-moved.v1':
      return `from ${data.fromMasterTargetId} to ${data.toMasterTargetId}`;
    case 'secondsite.replication.retention-shortened.v1':
      return `${Math.round(data.availableSeconds)} s of ${Math.round(data.promisedSeconds)} s are left, ${data.cause}`;
    case 'secondsite.replication.damage-found.v1':
      return `${data.place} at ${data.componentId}, ${formatBytes(data.bytes)}${data.before === undefined ? '' : `; instants before ${data.before} may lack them`}`;
    case 'secondsite.replication.damage-repaired.v1':
      return `${formatBytes(data.bytes)} at ${data.offset}, ${data.lostBefore === undefined ? 'no instant lacks anything' : `instants before ${data.lostBefore} lack them`}`;
    case 'secondsite.replication.scrub-completed.v1':
      return `${formatBytes(data.readBytes)} read, ${formatBytes(data.damagedBytes)} damaged`;
    case 'secondsite.replication.cold-store-failed.v1':
      return `${data.affects}: ${data.code}, ${data.reason}`;
    default:
      return 'name' in data && typeof data.name === 'string' ? data.name : undefined;
  }
}
