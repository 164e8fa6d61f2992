"""A body of every set and message that is mapped, as a partner would send it. `;` ends a segment.

They were written for these tests after the guides' common ground; they are no partner's files.
"""

PARTY = "N1*WH*Main DC*92*DC1;N2*Gate 4;N3*1 Dock St*Door 2;N4*Austin*TX*78701*US;"

X12 = {
    "180": (
        "BGN*00*RMA-77*20260131*1200;RDR*RA*DM;PRF*PO-1;DTM*097*20260131;N9*RM*RMA-77;"
        f"PER*CN*Ann*TE*5551234;NTE*GEN*Fragile;{PARTY}"
        "BLI*SK*MUG-1*2*EA**4.5**UP*012345678905;N9*SE*S1;PID*F****Blue mug;RDR*RA*DM;"
        "BLI*SK*MUG-2*1*EA;"
    ),
    "753": (
        "BGN*00*RQ-1*20260131;N1*SF*Main DC*92*DC1;N4*Austin*TX*78701*US;"
        "LX*1;N1*ST*Store 9*92*009;N3*9 High St;L11*BOL1*BM;G62*10*20260202;"
        "OID*REF1*PO-1**CT*12*L*340*C*18;"
    ),
    "754": (
        "BGN*11*RQ-1*20260131;N1*SF*Main DC*92*DC1;"
        "LX*1;L11*LOAD7*LO;BLR*ABCD*20260201;SMD*ST*CC;G62*69*20260202;"
        "N1*ST*Store 9*92*009;OID*REF1*PO-1**CT*12;"
    ),
    "810": (
        "BIG*20260131*INV-1*20260110*PO-1***DI*00;NTE*GEN*Thank you;CUR*SE*USD;REF*IA*12;"
        f"{PARTY}DTM*011*20260130;"
        "IT1*1*2*EA*9.50**SK*MUG-1*UP*012345678905;PID*F****Blue mug;SDQ*EA*92*009*1*010*1;"
        "IT1*2*1*EA*100**SK*MUG-2;SAC*C*D240***500;"
        "TDS*12650;TXI*ST*2.5*8.25**TX;CAD*M***ABCD*Routing;CTT*2;"
    ),
    "846": (
        "BIA*00*SI*R1*20260131*1200;CUR*SE*USD;DTM*405*20260131*115900*CT;REF*IA*12;"
        f"PER*IC*Ann*TE*5551234*EM*ann@example.com;{PARTY}REF*DP*X;"
        "LIN*1*SK*MUG-1*UP*012345678905;PID*F****Blue mug;REF*LT*L1;SDQ*EA*92*DC1*7*DC2*3;"
        "QTY*33*10*EA;QTY*63*5*EA;DTM*002*20260215;N1*WH**92*DC1;"
        "LIN*2*SK*MUG-2;QTY*33*0*EA;CTT*2;"
    ),
    "850": (
        "BEG*00*SA*PO-1*REL1*20260131*C-9;CUR*BY*USD;REF*DP*038;PER*BD*Ann*TE*5551234;"
        "SAC*C*D240***1250*3*2.5;DTM*010*20260210;DTM*001*20260301;TD5*O*2*ABCD*M*Best way;"
        f"N9*L1*Handling*Note;MSG*Leave at gate;MSG*Ring twice;{PARTY}REF*VR*1;"
        "PO1*1*120*EA*9.25*TE*SK*MUG-1*UP*012345678905;PID*F****Blue mug;"
        "PO4*4*6*EA*CTN*G*7.89*LB*1.5*CF;REF*LI*1;SDQ*EA*92*009*100*010*20;DTM*010*20260211;"
        "PO1*2*3*CA*100**VN*V-2;CTT*2*123;"
    ),
    "852": (
        f"XQ*H*20260119*20260125;N9*IA*12;PER*IC*Ann;{PARTY}"
        "LIN*1*UP*012345678905;N9*AB*1;ZA*QS*12*EA;SDQ*EA*92*009*7*010*5;"
        "ZA*OH*40*EA*007*20260125;CTT*1;"
    ),
    "855": (
        f"BAK*00*AC*PO-1*20260131*REL1**C-9**20260201*SA;REF*VN*V-1;DTM*010*20260210;{PARTY}"
        "PO1*1*120*EA*9.25*TE*SK*MUG-1;PID*F****Blue mug;DTM*010*20260211;"
        "ACK*IA*100*EA*068*20260210**SK*MUG-1;ACK*IB*20*EA;PO1*2*3*EA*1**SK*MUG-2;ACK*IR*3*EA;"
        "CTT*2;"
    ),
    "856": (
        "BSN*00*SHIP-1*20260131*1200*0001;DTM*011*20260131;"
        "HL*1**S*1;TD1*CTN25*2****G*14*LB*3*CF;TD5*B*2*ABCD*M*Truck;REF*BM*BOL-1;DTM*017*20260204;"
        "N1*SF*Main DC*92*DC1;N1*ST*Store 9*92*009;N3*9 High St;"
        "HL*2*1*O*1;PRF*PO-1*REL**20260110;REF*IA*12;"
        "HL*3*2*P*1;PO4*1*10*EA;MAN*GM*00000715670002152360;"
        "HL*4*3*I*0;LIN*1*SK*MUG-1*LT*L1;SN1*1*10*EA**12*EA**BP;PID*F****Blue mug;DTM*036*20270101;"
        "CTT*4;"
    ),
    "860": (
        f"BCH*04*SA*PO-1*REL1*2*20260201**C-9;REF*DP*038;DTM*010*20260210;{PARTY}"
        "POC*1*QD*100*20*EA*9.25*TE*SK*MUG-1;PID*F****Blue mug;DTM*010*20260215;"
        "POC*2*DI*0*0*EA***SK*MUG-2;CTT*2;"
    ),
    "861": (
        f"BRA*RC-1*20260131*00*2*1200;REF*BM*BOL-1;DTM*050*20260131;PRF*PO-1;{PARTY}"
        "RCD*1*10*EA***2*EA*01*1*EA*02;SN1**12*EA;LIN**SK*MUG-1;REF*LT*L1;PRF*PO-1;"
        "MAN*GM*00000715670002152360;CTT*1;"
    ),
    "865": (
        f"BCA*00*AC*PO-1*REL1*2*20260131**C-9**20260201***SA;REF*VN*V-1;{PARTY}"
        "POC*1*QD*100*20*EA*9.25*TE*SK*MUG-1;ACK*IA*100*EA*068*20260210;CTT*1;"
    ),
    "940": (
        f"W05*N*SO-1*PO-1*001001*M-1;{PARTY}PER*CN*Ann*TE*5551234;N9*BR*R1;G62*10*20260202;"
        "NTE*WHI*Stack low;W66*PP*M***Best way*****ABCD;"
        "LX*1;MAN*UC*00012345678905;"
        "W01*12*EA*012345678905*SK*MUG-1*UP*012345678905******LOT9**LT*L9;"
        "G69*Blue mug;N9*LI*10;NTE*GEN*Gift wrap;"
        "LX*2;W01*3*EA**SK*MUG-2;N9*LI*20;W76*15*40*LB*2*CF;"
    ),
    "943": (
        f"W06*N*TR-1*20260131*SH-1**PO-1;{PARTY}N9*BM*BOL-1;G62*17*20260205;NTE*GEN*Fragile;"
        "W27*M*ABCD*Truck*CC***X1*CC;"
        "W04*10*EA*012345678905*SK*MUG-1********02;G69*Blue mug;N9*LT*L1;"
        "W04*5*EA**SK*MUG-2;W03*15*40*LB;"
    ),
    "944": (
        f"W17*F*20260131*RC-1*TR-1*SH-1**1200;{PARTY}N9*BM*BOL-1;G62*09*20260131;NTE*GEN*Wet;"
        "W07*10*EA*012345678905*SK*MUG-1***L1*1;G69*Blue mug;N9*LI*1;"
        "W13*2*EA*01*L1*CD;N9*ZZ*dented;W07*5*EA**SK*MUG-2;W14*15*16*2;"
    ),
    "945": (
        f"W06*F*SO-1*20260131*SH-1**PO-1*M-1*001001;{PARTY}N9*BM*BOL-1;G62*11*20260131;NTE*GEN*Late;"
        "W27*M*ABCD*Truck*CC***X1*CC;"
        "LX*1;MAN*GM*00000715670002152360;"
        "W12*CP*12*10*2*EA*012345678905*SK*MUG-1*L1***********1;G69*Blue mug;N9*LI*10;QTY*39*10*EA;"
        "LX*2;W12*IS*3*3**EA**SK*MUG-3*********SK*MUG-2;N9*LI*20;W03*13*40*LB*2*CF*2*CT;"
    ),
    "947": (
        f"W15*20260131*ADJ-1*OUR-1*00*05;{PARTY}N9*ZZ*1;G62*09*20260131;NTE*GEN*Cycle count;"
        "W19*AA*-5*EA*012345678905*SK*MUG-1***L1*******AJ;G69*Blue mug;N9*SE*S1;"
        "W19*05*3*EA**SK*MUG-2;"
    ),
}  # fmt: skip

NAD = "NAD+WH+5412345000013::9++Main DC+1 Dock St:Door 2+Austin+TX+78701+US;"
HEAD = f"DTM+137:202601311200:203;DTM+366:20260131:102;RFF+ON:PO-1;{NAD}RFF+VA:BE1;"

EDIFACT = {
    "DESADV": (
        f"BGM+351+SHIP-1+9;{HEAD}CPS+1;PAC+2++CT;CPS+2+1;PAC+1++CT;GIN+BJ+371234500000000012;"
        "LIN+1++4000862141404:EN;PIA+5+MUG-1:SA;IMD+F++:::Blue mug;QTY+12:10:PCE;GIN+BX+L1;"
        "DTM+361:20270101:102;RFF+ON:PO-1;CNT+2:2;"
    ),
    "INSDES": (
        f"BGM+740+SO-1+9;DTM+2:20260202:102;FTX+DEL+++Leave at gate:Ring twice;RFF+ON:PO-1;{NAD}"
        "LIN+1++4000862141404:EN;QTY+21:12:PCE;FTX+AAI+++Gift wrap;RFF+LI:10;UNS+S;CNT+2:1;"
    ),
    "INVRPT": (
        f"BGM+35+R1+9;{HEAD}CUX+2:EUR;"
        "LIN+1++4000862141404:EN;PIA+5+MUG-1:SA+M1:MF;QTY+145:10:PCE;LOC+14+DC1;"
        "LIN+2++4000862141411:EN;INV+1+1+3;QTY+156:2:PCE;DTM+11:20260130:102;RFF+AAK:X;CNT+2:2;"
    ),
    "ORDCHG": f"BGM+230+PO-1+4;{HEAD}LIN+1+3+4000862141404:EN;QTY+21:8:PCE;UNS+S;CNT+2:1;",
    "ORDERS": (
        f"BGM+220+PO-1+9;DTM+137:20260131:102;FTX+ZZZ+++Handle with care;{NAD}CUX+2:EUR;"
        "LIN+1++4000862141404:EN;PIA+5+MUG-1:SA;IMD+F++:::Blue mug;QTY+21:120:PCE;QTY+59:12;"
        "DTM+2:20260210:102;PRI+AAA:9.25;RFF+LI:10;UNS+S;CNT+2:1;"
    ),
    "ORDRSP": (
        f"BGM+231+PO-1+4;{HEAD}LIN+1+3+4000862141404:EN;QTY+21:100:PCE;QTY+83:20:PCE;UNS+S;CNT+2:1;"
    ),
    "RECADV": (
        f"BGM+632+RC-1+9;{HEAD}LIN+1++4000862141404:EN;QTY+48:10:PCE;QTY+12:12:PCE;"
        "RFF+ON:PO-1;CNT+2:1;"
    ),
}


def x12_text(code: str) -> str:
    """The body of a set in the form that `files.interchange` takes."""
    return f"{code}~{X12[code].replace(';', '~')}"


def edifact_text(code: str) -> str:
    """An interchange with the message."""
    body = EDIFACT[code].replace(";", "'")
    head = "UNB+UNOC:3+5412345000013:14+4012345000009:14+260131:1200+REF1'"
    count = body.count("'") + 2
    return f"{head}UNH+1+{code}:D:96A:UN'{body}UNT+{count}+1'UNZ+1+REF1'"
