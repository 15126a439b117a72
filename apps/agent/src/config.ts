// SPDX-License-Identifier: Apache-2.0
import { type ComponentConfig, componentConfig, componentSchema, type Environment, parseEnvironment } from '@secondsite/component';
import { MIB } from '@secondsite/units';
import { z } from 'zod';

const traceRatioDefault = 0.01;

const schema = componentSchema('agent', {
  /** Host on which the disks are also exported by TCP (with TLS, unless insecure), each on a port of its own. Absent: unix sockets only. */
  SECONDSITE_NBD_HOST: z.string().min(1).optional(),
  /** A change set is traced, although it was not sampled, when it is not known to be applied so long after its first write. */
  SECONDSITE_TRACE_SLOW_MILLIS: z.coerce.number().int().min(1000).default(5000),
  /** Memory for captured writes of all volumes of the host, and for the requests and reads that bring them. */
  SECONDSITE_BUFFER_BYTES_MAX: z.coerce.number('must be a number of bytes').int().min(32 * MIB, 'must be at least 32 MiB').max(1024 * 1024 * MIB).default(250_000_000),
});

export interface AgentConfig extends ComponentConfig {
  readonly traceRatio: number;
  readonly traceSlowMillis: number;
  readonly nbdHost: string | undefined;
  readonly bufferBytesMax: number;
}

/** Throws OperationError `config/invalid` that names every fault at once, never a value. */
export function readConfig(environment: Environment): AgentConfig {
  const values = parseEnvironment(schema, environment);
  const { SECONDSITE_NBD_HOST: nbdHost, SECONDSITE_BUFFER_BYTES_MAX: bufferBytesMax, SECONDSITE_TRACE_RATIO: traceRatio = traceRatioDefault } = values;
  return Object.freeze({ ...componentConfig(values), traceRatio, traceSlowMillis: values.SECONDSITE_TRACE_SLOW_MILLIS, nbdHost, bufferBytesMax });
}
