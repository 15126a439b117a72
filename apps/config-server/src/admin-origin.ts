// SPDX-License-Identifier: Apache-2.0
import type { RouteDefinition } from '@secondsite/contracts';
import type { RouteCall } from '@secondsite/service-kit';
import type { CommandOrigin } from './commands/command-runner';

/** Origin of everything that the holder of the admin token asks for. */
export function adminOrigin(call: Pick<RouteCall<RouteDefinition>, 'traceparent'>): CommandOrigin {
  return { actor: { kind: 'user', id: 'admin' }, traceparent: call.traceparent };
}
