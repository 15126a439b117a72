// SPDX-License-Identifier: Apache-2.0
import {
  createBookmarkOperation, cutHeldOperation, freezeVolumesOperation, holdWritesOperation, releaseWritesOperation, thawVolumesOperation,
} from './bookmarks';
import type { Operation } from './define-operation';
import { listPointsOperation, resolvePointOperation } from './points';
import { quarantineAtMasterTargetOperation, quarantineAtProcessServerOperation } from './quarantine';
import { previewRetentionOperation } from './retention';
import { scrubOperation } from './scrub';
import { traceAtAgentOperation, traceAtMasterTargetOperation, traceAtProcessServerOperation } from './traces';
import { closeViewOperation, listViewsOperation, openViewOperation } from './views';

export * from './bookmarks';
export * from './define-operation';
export * from './points';
export * from './quarantine';
export * from './retention';
export * from './scrub';
export * from './traces';
export * from './views';

/** Every request with a reply on the bus. */
export const operations: readonly Operation[] = Object.freeze([
  createBookmarkOperation, holdWritesOperation, cutHeldOperation, releaseWritesOperation, freezeVolumesOperation, thawVolumesOperation,
  listPointsOperation, resolvePointOperation, previewRetentionOperation, openViewOperation, closeViewOperation, listViewsOperation,
  traceAtAgentOperation, traceAtProcessServerOperation, traceAtMasterTargetOperation,
  quarantineAtProcessServerOperation, quarantineAtMasterTargetOperation, scrubOperation,
]);
