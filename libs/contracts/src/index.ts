// SPDX-License-Identifier: Apache-2.0
export { type AutomaticResync, automaticResyncDefault, automaticResyncSchema, isTimeZone } from './automatic-resync';
export { buildAsyncApiDocument } from './asyncapi/build-async-api-document';
export { type BookmarkCut, bookmarkCutSchema } from './bookmark-cut';
export { type Actor, actorSchema, type CloudEvent, type CloudEventEnvelope, cloudEventSchema } from './cloud-event';
export { defineEvent, type EventContext, eventContexts, type EventDefinition, type EventOf } from './define-event';
export * from './desired-state';
export { type CurrentEvent, eventDefinitions, findEventDefinition, type ReleasedEvent } from './event-registry';
export * from './events';
export { EventMaker, type EventMakerOptions, type EventOrigin, type EventStamp, makeEvent } from './make-event';
export { parseEvent, readEvent } from './read-event';
export * from './requests';
export { type ResyncCause, resyncCauseSchema, resyncCauseWords, type ResyncWork, resyncWorkSchema } from './resync-choice';
export * from './rest';
export {
  byteCountSchema, compressionSchema, countSchema, type DataPlaneRole, dataPlaneRoleSchema, epochSchema, idSchema, isoTimeSchema, pairIdSchema,
  type Retention, retentionSchema, type Role, roleSchema, sequenceSchema, traceparentSchema,
} from './scalars';
export {
  type ComponentAddress, deadLetterSubject, desiredStateKey, type EventFilter, eventSubject, eventSubjectFilter, requestSubject, streamNames,
  subjectMatches, telemetrySubject, telemetrySubjectFilter,
} from './subjects';
export { type Tap, tapSchema } from './tap';
export * from './telemetry';
export { type Upcaster, upcastEvent, upcasters } from './upcasters';
