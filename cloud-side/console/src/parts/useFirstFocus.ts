/** The focus for the first field of a page that is nothing but a form: whoever comes there wants to type. */
import { type RefObject, useEffect, useRef } from 'react';

export function useFirstFocus(): RefObject<HTMLInputElement | null> {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return field;
}
