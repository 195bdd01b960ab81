/** The SDK's exceptions as StorageErrors, through the same table as the direct engine's answers. */
import { StorageError } from '../../core/errors.ts';
import { meaningOf, type S3Call, subject } from './s3-errors.ts';

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly code?: string;
}

export function errorOfSdk(call: S3Call, error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError' || error instanceof StorageError) return error;
  const { $metadata, code, name } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  const keyed = call.key === undefined ? {} : { key: call.key };
  const base = { backend: call.backend, operation: call.operation, ...keyed };
  if (status === undefined) {
    // No answer at all: the network, or a body that ended early.
    return new StorageError(
      `Cannot ${call.operation} ${subject(call)}: ${error.message}`,
      {
        ...base,
        kind: 'unavailable',
        isTransient: true,
        scope: 'object',
        ...(code ? { backendCode: code } : {}),
      },
      { cause: error, hint: 'Check the endpoint, its port and the network' },
    );
  }
  const meaning = meaningOf(name, status);
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${name}: ${error.message}`,
    {
      ...base,
      kind: meaning.kind,
      status,
      backendCode: name,
      isTransient: meaning.isTransient ?? false,
      scope: meaning.scope ?? 'object',
    },
    { cause: error, hint: meaning.hint },
  );
}
