// SPDX-License-Identifier: Apache-2.0
import { type Problem, problemSchema } from '@secondsite/contracts';

/** The problem document of an answer; throws when the answer is something else. */
export async function readProblem(response: Response): Promise<Problem> {
  const type = response.headers.get('content-type') ?? 'no content type';
  if (!type.startsWith('application/problem+json')) throw new Error(`${response.status} ${type} is no problem document`);
  return problemSchema.parse(await response.json());
}
