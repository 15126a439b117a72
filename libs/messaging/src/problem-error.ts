// SPDX-License-Identifier: Apache-2.0
import { type Problem, problemSchema } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import { z } from 'zod';

/** The problem document of a failure. Unexpected errors tell nothing but that they happened; their details belong in the log. */
export function problemFromError(error: unknown, operation: string): Problem {
  if (error instanceof OperationError) {
    return problem({ code: error.code, detail: error.message, hint: error.hint, retryable: error.retryable, status: error.retryable ? 503 : 422, context: error.context });
  }
  if (error instanceof z.ZodError) {
    const faults = error.issues.map((issue) => ({ path: issue.path.join('.'), reason: issue.message }));
    const detail = faults.map((fault) => `${fault.path}: ${fault.reason}`).join('; ');
    return { ...problem({ code: 'bus/request-invalid', detail, hint: 'The request does not follow its schema.', retryable: false, status: 400 }), faults };
  }
  return problem({ code: 'bus/handler-failed', detail: `${operation} failed`, hint: 'See the log of the component.', retryable: false, status: 500 });
}

interface ProblemParts {
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly status: number;
  readonly context?: Problem['context'];
}

function problem(parts: ProblemParts): Problem {
  return { type: `urn:secondsite:problem:${parts.code}`, title: parts.code, ...parts };
}

/** The failure that a problem document tells of, as it was thrown by the component. */
export function errorFromProblem(json: unknown, operation: string): OperationError {
  const parsed = problemSchema.safeParse(json);
  if (!parsed.success) {
    return new OperationError({ code: 'bus/reply-invalid', operation, retryable: false, hint: 'The component answered with something unreadable.', cause: parsed.error });
  }
  const { code, retryable, hint, detail, context } = parsed.data;
  return new OperationError({ code, operation, retryable, hint, context: context ?? {}, cause: new Error(detail) });
}
