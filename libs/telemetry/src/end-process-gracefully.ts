// SPDX-License-Identifier: Apache-2.0

export interface ProcessEndOptions {
  readonly logger: { info(fields: object, message: string): void; fatal(fields: object, message: string): void };
  /** Drains and closes everything. */
  readonly shutdown: () => Promise<void>;
  /** After this time the process ends with 1 all the same; default 15 s. */
  readonly graceMillisMax?: number;
}

/**
 * SIGTERM and SIGINT: shut down, exit 0; exit 1 when that fails or takes too long, or at a second signal. An unhandled rejection or an
 * uncaught exception is a bug: it is logged as fatal and the process ends with 1 at once (its state is recovered from disk).
 * Returns a function that shuts down as a signal would, for those who stop the process by other means.
 */
export function endProcessGracefully({ logger, shutdown, graceMillisMax = 15_000 }: ProcessEndOptions): (reason: string) => Promise<never> {
  let ending: Promise<never> | undefined;
  const end = (reason: string): Promise<never> => (ending ??= shutDown(reason));
  const shutDown = async (reason: string): Promise<never> => {
    logger.info({ reason }, 'shutting down');
    setTimeout(() => die(`the shutdown took more than ${graceMillisMax} ms`), graceMillisMax).unref();
    try {
      await shutdown();
    } catch (err) {
      die('the shutdown failed', err);
    }
    logger.info({ reason }, 'shut down');
    return process.exit(0);
  };
  const die = (message: string, err?: unknown): never => {
    logger.fatal(err === undefined ? {} : { err }, message);
    return process.exit(1);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (ending === undefined ? void end(signal) : die(`a second signal came: ${signal}`)));
  }
  process.on('uncaughtException', (err) => die('uncaught exception', err));
  process.on('unhandledRejection', (err) => die('unhandled rejection', err));
  return end;
}
