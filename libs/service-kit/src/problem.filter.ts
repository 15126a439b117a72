// SPDX-License-Identifier: Apache-2.0
import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import { trace } from '@opentelemetry/api';
import type { Response } from 'express';
import type { Logger } from 'pino';
import { problemFromError, type ProblemRules } from './problem-from-error';

/** Answers every error of a handler as application/problem+json; errors nobody expected are logged with their stack. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly rules: ProblemRules, private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const { problem, expected } = problemFromError(error, this.rules);
    if (!expected) this.logger.error({ err: error }, 'request failed');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const traceId = trace.getActiveSpan()?.spanContext().traceId;
    if (problem.status === 503) response.setHeader('retry-after', '2');
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(traceId ? { ...problem, traceId } : problem));
  }
}
