// SPDX-License-Identifier: Apache-2.0
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { routeOf } from './handles';

/** Holds every answer to its contract: fields the schema does not know are dropped, a wrong one is this server's error. */
@Injectable()
export class ResponseCheckInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { response } = routeOf(context);
    return next.handle().pipe(map((answer: unknown) => (response ? response.parse(answer) : answer)));
  }
}
