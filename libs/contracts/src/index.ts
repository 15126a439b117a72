// SPDX-License-Identifier: Apache-2.0
export { type AutomaticResync, automaticResyncDefault, automaticResyncSchema, isTimeZone } from './automatic-resync';
export { buildAsyncApiDocument } from './asyncapi/build-async-api-document';
export { type Bandwidth, type BandwidthRule, type Priority, type Weekday } from './bandwidth';
export { type BookmarkCut, bookmarkCutSchema, type TimedBookmarkCut, timedBookmarkCutSchema } from './bookmark-cut';
export { type BookmarkLevel, bookmarkLevelSchema, type ConsistencyLevel, consistencyLevelSchema } from './bookmark-level';
export { type Actor, actorSchema, type CloudEvent, type CloudEventEnvelope, cloudEventSchema } from './cloud-event';
export { defineEvent, type EventContext, eventContexts, type EventDefinition, type EventOf } from './define-event';
export * from './desired-state';
export { type CurrentEvent, eventDefinitions, findEventDefinition, type ReleasedEvent } from './event-registry';
export * from './events';
export {
  type FreezeHook, freezeHookSchema, freezeHooksSchema, type FrozenLevel, frozenLevelSchema, type HookResult, hookResultSchema, hookSecondsMaxDefault,
  levelOfHook,
} from './freeze-hooks';
export { EventMaker, type EventMakerOptions, type EventOrigin, type EventStamp, makeEvent } from './make-event';
export { parseEvent, readEvent } from './read-event';
export * from './requests';
export { type ResyncCause, resyncCauseSchema, resyncCauseWords, type ResyncWork, resyncWorkSchema } from './resync-choice';
export * from './rest';
export {
  type ColdReport, coldReportSchema, keepRuleSchema, type KeepRule, type PinnedPoint, pinnedPointSchema, type RetentionLadder, retentionLadderSchema, type RetentionReport, retentionReportSchema,
} from './retention';
export { type ScrubReport, scrubReportSchema } from './scrub';
export {
  byteCountSchema, compressionSchema, countSchema, type DataPlaneRole, dataPlaneRoleSchema, epochSchema, idSchema, isoTimeSchema, pairIdSchema,
  retentionSchema, type Role, roleSchema, sequenceSchema, traceparentSchema,
} from './scalars';
export {
  type ComponentAddress, deadLetterSubject, desiredStateKey, type EventFilter, eventSubject, eventSubjectFilter, requestSubject, streamNames,
  subjectMatches, telemetrySubject, telemetrySubjectFilter,
} from './subjects';
export { type Tap, tapSchema } from './tap';
export * from './telemetry';
export { type Upcaster, upcastEvent, upcasters } from './upcasters';
