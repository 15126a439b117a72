// SPDX-License-Identifier: Apache-2.0
// A process of its own for the spec: makes spans in the ways that the write path does and sends them to the receiver given.
import { startRootSpan } from '../root-span';
import { startTelemetry } from '../start-telemetry';
import { inSpan, startSpan, traceparentOf } from '../trace-context';

async function run(otlpEndpoint: string): Promise<void> {
  const telemetry = await startTelemetry({
    serviceName: 'sample',
    instanceId: 'sample-1',
    otlpEndpoint,
    traceRatio: 1,
    metricsListen: '127.0.0.1:0',
    instrumentations: ['http'],
    onExportFailure: () => process.stdout.write('not exported\n'),
  });
  const { get } = await import('node:http');
  const cut = startSpan({ name: 'seal change set', attributes: { sequence: 7 }, startTime: 1_700_000_000_000_000 });
  const traceparent = traceparentOf(cut);
  cut.end();
  await inSpan({ name: 'store change set', traceparent }, async () => {
    await inSpan({ name: 'append to spool' }, () => undefined);
    await new Promise((resolve, reject) => {
      get(`${telemetry.metricsUrl}/healthz`, (response) => response.resume().once('end', resolve)).once('error', reject);
    });
  });
  await inSpan({ name: 'failing' }, () => Promise.reject(new Error('disk'))).catch(() => undefined);
  startRootSpan({ name: 'given', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }).end();
  startRootSpan({ name: 'given unrecorded', traceparent: '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' }).end();
  startSpan({ name: 'after given' }).end();
  await telemetry.shutdown();
}

void run(process.argv[2] ?? '');
