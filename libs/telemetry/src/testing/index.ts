// SPDX-License-Identifier: Apache-2.0
export { OtlpReceiver, type ReceivedSpan } from './otlp-receiver';
