// SPDX-License-Identifier: Apache-2.0
import type { DataPlaneRole } from '@secondsite/contracts';
import type { BusLog } from '@secondsite/messaging';
import { createLogger, endProcessGracefully, startTelemetry } from '@secondsite/telemetry';
import { compactHeap } from './compact-heap';
import type { ComponentConfig } from './component-config';
import type { Environment } from './environment';

export interface ComponentSurroundings {
  readonly log: BusLog;
  /** Shown to others in ready.json. */
  readonly metricsUrl: string | undefined;
  /** The process cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

export interface RunningComponent {
  /** Where change sets are sent to; absent of a component that nobody sends any. */
  readonly url?: string;
  notReadyReason(): string | undefined;
  /** Drains, closes, leaves everything durable. */
  close(): Promise<void>;
}

export interface ComponentProgram<Config extends ComponentConfig> {
  readonly role: DataPlaneRole;
  readonly readConfig: (environment: Environment) => Config;
  /** Called when telemetry runs; the place to load what is heavy or instrumented. */
  readonly start: (config: Config, surroundings: ComponentSurroundings) => Promise<RunningComponent>;
  /** Name of what must be ready. */
  readonly part: string;
  /** Default 15 s. */
  readonly graceMillisMax?: number;
}

/** The `main` of a component: runs until SIGTERM. Ends with 1 and a reason when it cannot start or go on; whoever started it starts it again. */
export async function runComponent<Config extends ComponentConfig>(program: ComponentProgram<Config>): Promise<void> {
  try {
    await run(program, program.readConfig(process.env));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function run<Config extends ComponentConfig>(program: ComponentProgram<Config>, config: Config): Promise<void> {
  const { role, part, graceMillisMax } = program;
  const { logLevel, otlpEndpoint, traceRatio, metricsListen } = config;
  const log = createLogger({ serviceName: role, level: logLevel });
  const telemetry = await startTelemetry({ serviceName: role, otlpEndpoint, traceRatio, metricsListen: `${metricsListen.host}:${metricsListen.port}` });
  const running: { component?: RunningComponent } = {};
  endProcessGracefully({
    logger: log,
    ...(graceMillisMax === undefined ? {} : { graceMillisMax }),
    shutdown: async () => {
      await running.component?.close();
      await telemetry.shutdown();
    },
  });
  const onFatal = (error: unknown): never => {
    log.fatal({ err: error }, `the ${role.replaceAll('-', ' ')} cannot go on`);
    return process.exit(1);
  };
  telemetry.readiness.add(part, () => (running.component ? running.component.notReadyReason() : 'still starting'));
  const component = await program.start(config, { log, metricsUrl: telemetry.metricsUrl, onFatal }).catch(onFatal);
  compactHeap();
  running.component = component;
  log.info({ url: component.url, metricsUrl: telemetry.metricsUrl }, 'ready');
}
