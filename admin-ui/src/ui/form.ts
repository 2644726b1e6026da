import { useState } from 'react';
import { ApiError } from '../api/client';
import { explain } from './kit';

interface Form {
  isBusy: boolean;
  /** Of the whole, where it is no single field's. */
  error: string | undefined;
  /** Of one field, by the API's name for it. */
  errorOf: (field: string) => string | undefined;
  submit: (work: () => Promise<unknown>) => Promise<void>;
  reset: () => void;
}

/** Sends a form and sorts its errors to their fields. */
export function useForm(fields: readonly string[]): Form {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>();
  const field = failure instanceof ApiError ? failure.problem.field?.split(/[.[]/)[0] : undefined;
  const isOfField = field !== undefined && fields.includes(field);
  return {
    isBusy,
    error: failure === undefined || isOfField ? undefined : explain(failure),
    errorOf: (name) => (isOfField && field === name ? allowed(failure) : undefined),
    submit: async (work) => {
      setBusy(true);
      setFailure(undefined);
      try {
        await work();
      } catch (error) {
        setFailure(error);
      } finally {
        setBusy(false);
      }
    },
    reset: () => setFailure(undefined),
  };
}

function allowed(failure: unknown): string {
  const rule = failure instanceof ApiError ? failure.problem.allowed : undefined;
  return rule ? `${rule.charAt(0).toUpperCase()}${rule.slice(1)}.` : explain(failure);
}
