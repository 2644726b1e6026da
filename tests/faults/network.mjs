// A second host on this machine, whose line can be cut: what is on its way then is lost, and nobody says goodbye.
// Needs a network of its own (`unshare --map-root-user --net`).

import { execFileSync } from 'node:child_process';
import { spawnChild } from '../bench/node.mjs';

/** The server's address, and the other host's. */
export const HERE = '10.77.0.1';
const THERE = '10.77.0.2';

/** The other host's others: all that begin so. */
export const ELSEWHERE = '10.78';

export class Host {
  constructor() {
    ip('link set lo up');
    this.holder = spawnChild('unshare', ['--net', 'sleep', 'infinity']);
    // Its network is there as soon as it is not ours.
    while (namespace(this.holder.pid) === namespace('self'));
    ip(`link add here type veth peer name there netns ${this.holder.pid}`);
    ip(`address add ${HERE}/24 dev here`);
    ip('link set here up');
    ip(`route add ${ELSEWHERE}.0.0/16 via ${THERE}`);
    this.run(`ip link set lo up && ip address add ${THERE}/24 dev there && ip link set there up`);
    this.run(`ip route add local ${ELSEWHERE}.0.0/16 dev lo`);
  }

  /** To run something there. */
  command(program, args) {
    return ['nsenter', ['--target', `${this.holder.pid}`, '--net', program, ...args]];
  }

  cut() {
    this.run('ip link set there down');
  }

  join() {
    this.run('ip link set there up');
  }

  run(text) {
    execFileSync(...this.command('sh', ['-c', text]), { stdio: 'inherit' });
  }
}

function namespace(pid) {
  return execFileSync('readlink', [`/proc/${pid}/ns/net`], { encoding: 'utf8' });
}

function ip(text) {
  execFileSync('ip', text.split(' '), { stdio: 'inherit' });
}
