/**
 * One wish of an operator: sent with the key of its dialogue, so that sending it again after an answer was lost
 * starts nothing twice. Whatever it changed is read again.
 */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import { freshKey } from '../api/client';
import { ApiProblem } from '../api/problem';
import { readAgain } from '../api/queries';

export function useWish<T>(send: (key: string) => Promise<T>, done: (answer: T) => void) {
  const client = useQueryClient();
  const key = useRef(freshKey());
  const mutation = useMutation({
    mutationFn: () => send(key.current),
    onSuccess: async (answer) => {
      await readAgain(client);
      done(answer);
    },
    onError: (error) => {
      // A wish that was refused may be changed and sent again; that is another wish. One whose answer was lost is
      // the same wish, and keeps its key.
      if (error instanceof ApiProblem && error.kind === 'refused') key.current = freshKey();
      void readAgain(client);
    },
  });
  return { send: () => mutation.mutate(), busy: mutation.isPending, error: mutation.error };
}
