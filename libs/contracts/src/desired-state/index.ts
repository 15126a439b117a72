// SPDX-License-Identifier: Apache-2.0
import { agentDesiredStateSchema, type AgentDesiredState } from './agent';
import { masterTargetDesiredStateSchema, type MasterTargetDesiredState } from './master-target';
import { processServerDesiredStateSchema, type ProcessServerDesiredState } from './process-server';

export * from './agent';
export * from './master-target';
export * from './process-server';

/** The document each role follows. */
export interface DesiredStateOf {
  readonly agent: AgentDesiredState;
  readonly 'process-server': ProcessServerDesiredState;
  readonly 'master-target': MasterTargetDesiredState;
}

export const desiredStateSchemas = Object.freeze({
  agent: agentDesiredStateSchema,
  'process-server': processServerDesiredStateSchema,
  'master-target': masterTargetDesiredStateSchema,
});
