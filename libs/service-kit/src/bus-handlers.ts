// SPDX-License-Identifier: Apache-2.0
/**
 * Decorators that bind methods of Nest controllers to the bus. A method reads *decode, decide, do, acknowledge*: what it gets was decoded by its
 * contract, and it acknowledges by resolving. What it throws is not answered by Nest but given back to the bus, which tries again, buries or replies.
 */
import { applyDecorators, type ArgumentsHost, Catch, type ExceptionFilter, UseFilters } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import type {
  CurrentEvent, DataPlaneRole, DesiredStateOf, EventDefinition, Operation, ReplyInputOf, RequestOf, Telemetry,
} from '@secondsite/contracts';
import { type Observable, throwError } from 'rxjs';

/** What a handler is bound to, beside its pattern. */
export type Binding =
  | { readonly kind: 'event' }
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'desired-state'; readonly role: DataPlaneRole }
  | { readonly kind: 'telemetry' };

/** Checks the method at its declaration; further parameters are those with decorators of Nest (`@Ctx() delivery: Delivery`). */
type MethodBinder<Method> = <Actual extends Method>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<Actual>) => void;

/** Hands the error on as it was thrown; Nest's own filter would replace it with "Internal server error". */
@Catch()
class ThrowOn implements ExceptionFilter {
  catch(error: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => error);
  }
}

const throwOn = new ThrowOn();

/** Called with each event of these types, at least once and one at a time. Throw to have it delivered again, and at last buried with its reason. */
export function OnEvent<const Definitions extends readonly EventDefinition<CurrentEvent['type']>[]>(
  ...definitions: Definitions
): MethodBinder<(event: Extract<CurrentEvent, { type: Definitions[number]['type'] }>, ...context: never[]) => Promise<void>> {
  return bind(EventPattern(definitions.map(({ type }) => type), extras({ kind: 'event' })));
}

/** Answers a request to this component. What it throws reaches whoever asked: an OperationError as it is, anything else without its inside. */
export function Answers<O extends Operation>(operation: O): MethodBinder<(request: RequestOf<O>, ...context: never[]) => Promise<ReplyInputOf<O>>> {
  return bind(MessagePattern(operation.name, extras({ kind: 'operation', operation })));
}

/** Called with the newest document of this component, one call at a time; called again when it throws. */
export function OnDesiredState<R extends DataPlaneRole>(role: R): MethodBinder<(document: DesiredStateOf[R], ...context: never[]) => Promise<void>> {
  return bind(EventPattern('desired-state', extras({ kind: 'desired-state', role })));
}

/** Called with what the components of the tenant say about themselves, while they say it: nothing is kept for those who are away. */
export function OnTelemetry(): MethodBinder<(telemetry: Telemetry) => void> {
  return bind(EventPattern('telemetry', extras({ kind: 'telemetry' })));
}

function extras(binding: Binding): { readonly binding: Binding } {
  return { binding };
}

function bind(pattern: MethodDecorator): ReturnType<typeof applyDecorators> {
  return applyDecorators(pattern, UseFilters(throwOn));
}
