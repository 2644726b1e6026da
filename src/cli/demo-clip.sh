#!/bin/sh
# Makes demo.flv, the clip that `weir demo` publishes: a clock, a frame counter, a moving dot, and each second a flash
# with a beep. Needs ffmpeg with libx264 and a DejaVu font. Its output is committed.
set -eu
cd "$(dirname "$0")"
font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf
length=12
ffmpeg -v error -y \
  -f lavfi -i "gradients=s=960x540:r=30:c0=0x0b1f33:c1=0x0f5e73:c2=0x123a5a:n=3:speed=0.01:seed=7:d=$length" \
  -f lavfi -i "sine=frequency=220:beep_factor=4:sample_rate=48000:duration=$length,volume=0.5" \
  -filter_complex "
    [0:v]
    drawbox=x=0:y=0:w=iw:h=ih:t=12:color=white@0.85:enable='lt(mod(t,1),0.1)',
    drawtext=fontfile=$font:text='WEIR':fontcolor=white@0.9:fontsize=44:x=48:y=44,
    drawtext=fontfile=$font:text='%{pts\:hms}':fontcolor=white:fontsize=104:x=(w-tw)/2:y=(h-th)/2,
    drawtext=fontfile=$font:text='frame %{n}':fontcolor=white@0.8:fontsize=40:x=(w-tw)/2:y=h/2+80,
    drawtext=fontfile=$font:text='●':fontcolor=0xffd166:fontsize=56:x='48+(w-96-tw)*(0.5-0.5*cos(2*PI*t/4))':y=h-110,
    format=yuv420p[v]" \
  -map '[v]' -map 1:a -t $length \
  -c:v libx264 -preset veryslow -profile:v high -bf 0 -crf 26 -maxrate 560k -bufsize 560k \
  -g 30 -keyint_min 30 -sc_threshold 0 -x264-params scenecut=0 \
  -c:a aac -b:a 48k -ac 1 -flvflags no_duration_filesize -map_metadata -1 -fflags +bitexact -f flv demo.flv
ls -l demo.flv
