/** `<WeirPlayer>` for React: properties and events of the element, on a server too. */

import { createElement, type HTMLAttributes, type Ref, useEffect, useImperativeHandle, useRef } from 'react';
import type { GetToken } from './connection';
import type { EngineError, EngineState } from './engine';
import type { StreamState } from './protocol';
import type { WeirPlayerElement } from './ui';
import './ui';

export interface WeirPlayerProps extends Omit<HTMLAttributes<HTMLElement>, 'onError'> {
  src: string;
  token?: string;
  getToken?: GetToken;
  autoPlay?: boolean;
  muted?: boolean;
  controls?: boolean;
  /** ms */
  latencyTarget?: number;
  audioOnly?: boolean;
  videoOnly?: boolean;
  /** ms */
  unseenTimeout?: number;
  renderer?: 'canvas';
  ref?: Ref<WeirPlayerElement>;
  onStateChange?: (detail: { state: EngineState; stream: StreamState | undefined }) => void;
  onError?: (error: EngineError) => void;
  onTokenNeeded?: (detail: { expiresInS: number }) => void;
}

export function WeirPlayer(props: WeirPlayerProps) {
  const { src, token, getToken, autoPlay, muted, controls, latencyTarget } = props;
  const { audioOnly, videoOnly, unseenTimeout, renderer } = props;
  const { ref, onStateChange, onError, onTokenNeeded, ...rest } = without(props);
  const own = useRef<WeirPlayerElement>(null);
  useImperativeHandle(ref, () => own.current as WeirPlayerElement, []);
  const listeners = useRef({ onStateChange, onError, onTokenNeeded });
  listeners.current = { onStateChange, onError, onTokenNeeded };
  useEffect(() => {
    const element = own.current;
    if (!element) return;
    const stop = new AbortController();
    const { signal } = stop;
    element.addEventListener('statechange', ({ detail }) => listeners.current.onStateChange?.(detail), {
      signal,
    });
    element.addEventListener('error', ({ detail }) => listeners.current.onError?.(detail), { signal });
    element.addEventListener('tokenneeded', ({ detail }) => listeners.current.onTokenNeeded?.(detail), {
      signal,
    });
    return () => stop.abort();
  }, []);
  useEffect(() => {
    const element = own.current;
    if (element) element.getToken = getToken;
  }, [getToken]);
  const flag = (value: boolean | undefined) => (value ? '' : undefined);
  return createElement('weir-player', {
    ...rest,
    ref: own,
    src,
    token,
    autoplay: flag(autoPlay),
    muted: flag(muted),
    controls: flag(controls),
    'latency-target': latencyTarget,
    'audio-only': flag(audioOnly),
    'video-only': flag(videoOnly),
    'unseen-timeout': unseenTimeout,
    renderer,
  });
}

function without(props: WeirPlayerProps) {
  const { src, token, getToken, autoPlay, muted, controls, latencyTarget, ...more } = props;
  const { audioOnly, videoOnly, unseenTimeout, renderer, ...rest } = more;
  return rest;
}
