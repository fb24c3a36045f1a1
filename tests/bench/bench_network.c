#include "engine/network.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static double cpu(void){struct timespec t;clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&t);return (double)t.tv_sec+1e-9*(double)t.tv_nsec;}
static unsigned long long seed=88172645463325252ull;
static double uni(void){seed^=seed<<13;seed^=seed>>7;seed^=seed<<17;return (double)(seed>>11)*0x1p-53;}
static uint32_t hosts; static struct network*net;
static void start(double now,uint32_t a,uint32_t b,double bytes,uint32_t tag){
  struct network_usage u[2]={{(2*a*7919u)%(2*hosts),1},{(2*b*7919u+1)%(2*hosts),1}};
  network_start(net,now,u,2,bytes,1e-6,1,INFINITY,tag);
}
static void mk(uint32_t n){hosts=n;double*c=malloc(2*n*sizeof*c);for(uint32_t i=0;i<2*n;i++)c[i]=12.5e9;net=network_new(c,2*n);free(c);}
int main(int argc,char**argv){
  const char*what=argc>1?argv[1]:"a"; double t0; unsigned long instants=0,done=0; double now=0; const uint32_t*tags;
  if(*what=='a'||*what=='r'){ // ring all-reduce 1024 hosts; r: 4 chunks
    uint32_t n=1024,ch=*what=='r'?4:1,rounds=2*(n-1); mk(n); t0=cpu();
    uint32_t*round=calloc(n*ch,4);
    for(uint32_t c=0;c<ch;c++)for(uint32_t i=0;i<n;i++)start(0,i,(i+1)%n,1e6/ch,c*n+i);
    network_solve(net,0);
    while((now=network_next(net))<INFINITY){uint32_t k=network_advance(net,now,&tags);instants++;done+=k;
      for(uint32_t j=0;j<k;j++){uint32_t t=tags[j],c=t/n,to=(t%n+1)%n; if(++round[c*n+to]<rounds)start(now,to,(to+1)%n,1e6/ch,c*n+to);}
      network_solve(net,now);}
  } else if(*what=='b'||*what=='c'){
    uint32_t n=*what=='b'?512:128; mk(n); t0=cpu();
    for(uint32_t a=0;a<n;a++)for(uint32_t b=0;b<n;b++)if(a!=b)start(0,a,b,*what=='b'?1e6:1e6*(0.1+uni()),0);
    network_solve(net,0);
    while((now=network_next(net))<INFINITY){done+=network_advance(net,now,&tags);network_solve(net,now);instants++;}
  } else { // d: 100000 poisson flows, load ~0.5.. on 256 hosts
    uint32_t n=1024; double load=argc>2?atof(argv[2]):0.5; mk(n); t0=cpu(); double rate=load*n*12.5e9/1e6; double next=0; uint32_t started=0;
    while(1){ now=network_next(net); if(started<100000&&next<now)now=next; if(now==INFINITY)break;
      done+=network_advance(net,now,&tags);
      if(started<100000&&next<=now){uint32_t a=(uint32_t)(uni()*n),b=(uint32_t)(uni()*(n-1));if(b>=a)b++;start(now,a,b,1e6*-log(1-uni()),0);started++;next+=-log(1-uni())/rate;}
      network_solve(net,now);instants++;}
  }
  printf("%s: %lu completed, %lu instants, end %.9g, %.3f s\n",what,done,instants,now,cpu()-t0);
}
