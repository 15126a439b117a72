// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { agentTelemetrySchema } from './agent';
import { masterTargetTelemetrySchema } from './master-target';
import { processServerTelemetrySchema } from './process-server';

export * from './agent';
export * from './component';
export * from './master-target';
export * from './process-server';

/** One message per component and second on `sst.<tenant>.<role>.<component id>`. */
export const telemetrySchema = z.discriminatedUnion('role', [agentTelemetrySchema, processServerTelemetrySchema, masterTargetTelemetrySchema]);
export type Telemetry = z.infer<typeof telemetrySchema>;
